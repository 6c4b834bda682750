import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod } from '@dure/api';
import type { MountSpec } from '@dure/runtime';
import { renderHosts } from './config/hosts-file.ts';
import { hostnameOf } from './config/pod-hostname.ts';
import { renderResolvConf, resolverOf } from './config/resolv-conf.ts';
import type { NodeFacts } from './pod-deps.ts';
import type { PodDirs } from './pod-dirs.ts';

const FILES = { hosts: '/etc/hosts', 'resolv.conf': '/etc/resolv.conf', hostname: '/etc/hostname' } as const;

/** Writes what all containers of a sandbox share in /etc. Again for each sandbox, since its addresses are new. */
export async function writeSandboxFiles(pod: Pod, podIPs: readonly string[], node: NodeFacts, dirs: PodDirs): Promise<void> {
  const directory = directoryOf(pod, dirs);
  const { hostname, fqdn } = hostnameOf(pod, node.clusterDomain, node.hostname);
  const hostNetwork = pod.spec?.hostNetwork === true;
  const [hostFile, nodeResolver] = await Promise.all([hostNetwork ? node.hostsFile() : undefined, node.resolver()]);
  const hosts = renderHosts({
    podIPs,
    hostname,
    aliases: pod.spec?.hostAliases ?? [],
    ...(fqdn === undefined || fqdn === hostname ? {} : { fqdn }),
    ...(hostFile === undefined ? {} : { hostFile }),
  });
  const resolver = resolverOf(pod, { nameservers: node.clusterDns, domain: node.clusterDomain }, nodeResolver);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  await Promise.all([
    writeFile(join(directory, 'hosts'), hosts, { mode: 0o644 }),
    writeFile(join(directory, 'resolv.conf'), renderResolvConf(resolver), { mode: 0o644 }),
    writeFile(join(directory, 'hostname'), `${hostname}\n`, { mode: 0o644 }),
  ]);
}

/** Mounts of those files, except where the container mounts something of its own there. */
export function sandboxFileMounts(pod: Pod, container: Container, dirs: PodDirs): readonly MountSpec[] {
  const taken = new Set((container.volumeMounts ?? []).map(({ mountPath }) => mountPath));
  return Object.entries(FILES)
    .filter(([, target]) => !taken.has(target) && !taken.has('/etc'))
    .map(([name, target]) => ({ source: join(directoryOf(pod, dirs), name), target, readOnly: false, propagation: 'private' as const }));
}

function directoryOf(pod: Pod, dirs: PodDirs): string {
  return join(dirs.memory, pod.metadata.uid, 'etc');
}
