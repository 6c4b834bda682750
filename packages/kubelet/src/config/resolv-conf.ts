import type { Pod } from '@dure/api';

/** What a resolver configuration says. Order matters. */
export interface ResolverConfig {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface ClusterDns {
  /** Empty: the cluster has no DNS, every Pod gets the node's. */
  readonly nameservers: readonly string[];
  readonly domain: string;
}

/** The resolver takes no more. @see resolv.conf(5) */
const NAMESERVERS_MAX = 3;
const SEARCHES_MAX = 32;
const SEARCH_CHARS_MAX = 2048;

/** The Pod's resolver configuration by dnsPolicy and dnsConfig. `node` is the node's own. */
export function resolverOf(pod: Pod, cluster: ClusterDns, node: ResolverConfig): ResolverConfig {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork = false } = pod.spec ?? {};
  const base = baseOf(dnsPolicy, hostNetwork, pod.metadata.namespace ?? '', cluster, node);
  const searches = unique([...base.searches, ...(dnsConfig?.searches ?? [])]).slice(0, SEARCHES_MAX);
  while (searches.join(' ').length > SEARCH_CHARS_MAX) searches.pop();
  return {
    nameservers: unique([...base.nameservers, ...(dnsConfig?.nameservers ?? [])]).slice(0, NAMESERVERS_MAX),
    searches,
    options: mergeOptions(base.options, dnsConfig?.options ?? []),
  };
}

export function renderResolvConf({ nameservers, searches, options }: ResolverConfig): string {
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

export function parseResolvConf(text: string): ResolverConfig {
  const nameservers: string[] = [];
  let searches: readonly string[] = [];
  const options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) nameservers.push(values[0]);
    // The last search (or domain) line wins.
    else if (keyword === 'search' || keyword === 'domain') searches = values.filter((value) => value !== '.');
    else if (keyword === 'options') options.push(...values);
  }
  return { nameservers, searches, options };
}

function baseOf(policy: string, hostNetwork: boolean, namespace: string, cluster: ClusterDns, node: ResolverConfig): ResolverConfig {
  if (policy === 'None') return { nameservers: [], searches: [], options: [] };
  const wantsCluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !hostNetwork);
  if (!wantsCluster || cluster.nameservers.length === 0) return node;
  return {
    nameservers: cluster.nameservers,
    searches: [`${namespace}.svc.${cluster.domain}`, `svc.${cluster.domain}`, cluster.domain, ...node.searches],
    options: ['ndots:5'],
  };
}

function mergeOptions(base: readonly string[], extra: readonly { readonly name?: string; readonly value?: string }[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const option of base) merged.set(option.split(':')[0] ?? option, option);
  for (const { name, value } of extra) if (name !== undefined) merged.set(name, value === undefined ? name : `${name}:${value}`);
  return [...merged.values()];
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
