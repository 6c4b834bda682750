import type { HostAlias } from '@dure/api';

export interface HostsInput {
  readonly podIPs: readonly string[];
  readonly hostname: string;
  /** The Pod's name in DNS, where it has a subdomain. */
  readonly fqdn?: string;
  readonly aliases: readonly HostAlias[];
  /** The node's own file: what a Pod in the host's network starts from. */
  readonly hostFile?: string;
}

/** `/etc/hosts` of a Pod. The first line is what clients look for to tell that the node manages the file. */
export function renderHosts({ podIPs, hostname, fqdn, aliases, hostFile }: HostsInput): string {
  const lines =
    hostFile === undefined
      ? [
          '# Kubernetes-managed hosts file.',
          '127.0.0.1\tlocalhost',
          '::1\tlocalhost ip6-localhost ip6-loopback',
          'fe00::0\tip6-localnet',
          'fe00::0\tip6-mcastprefix',
          'fe00::1\tip6-allnodes',
          'fe00::2\tip6-allrouters',
          ...podIPs.map((ip) => [ip, ...(fqdn === undefined ? [] : [fqdn]), hostname].join('\t')),
        ]
      : ['# Kubernetes-managed hosts file (host network).', hostFile.replace(/\n$/, '')];
  if (aliases.length > 0) {
    lines.push('', '# Entries added by HostAliases.');
    for (const { ip, hostnames = [] } of aliases) lines.push([ip, ...hostnames].join('\t'));
  }
  return `${lines.join('\n')}\n`;
}
