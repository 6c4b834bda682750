import { isIPv4, isIPv6 } from 'node:net';
import { type DnsRecord, type Question, type RecordData, reverseName } from './records.ts';
import type { ZoneEndpoint, ZonePort, ZoneService, ZoneTable } from './zone-table.ts';

/** Seconds that clients may keep an answer, positive or negative. @see Kubernetes DNS specification 1.1 */
export const ZONE_TTL = 5;
const SPECIFICATION_VERSION = '1.1.0';

/** What a zone says to a question. */
export type ZoneAnswer =
  /** Not ours: whoever knows the rest of the world should answer. */
  | { readonly kind: 'outside' }
  /** `records` empty: the name exists, but has none of that type. `extra` spares the client a second question. */
  | { readonly kind: 'found'; readonly records: readonly DnsRecord[]; readonly extra: readonly DnsRecord[]; readonly authority?: DnsRecord }
  | { readonly kind: 'absent'; readonly authority: DnsRecord }
  /** The name stands for another one, which is `outside` or must be asked again. */
  | { readonly kind: 'alias'; readonly record: DnsRecord; readonly target: string };

/** A table made ready for questions. Making one costs a few hundred nanoseconds per Service; asking it allocates its answer and nothing else. */
export interface Zone {
  /** @param question Its name in any case. Pure. */
  answer(question: Question): ZoneAnswer;
}

interface Named {
  readonly service: ZoneService;
  readonly byHostname: ReadonlyMap<string, readonly ZoneEndpoint[]>;
}

/**
 * The cluster zone of Kubernetes' DNS specification 1.1: Services, headless Services, ExternalName, named ports, Pods, reverse names, `dns-version`.
 * @param serial Grows with each change of the table; shown in the SOA record.
 * @see https://github.com/kubernetes/dns/blob/master/docs/specification.md
 */
export function compileZone({ clusterDomain, services }: ZoneTable, serial: number): Zone {
  const domain = clusterDomain.toLowerCase();
  const namespaces = new Map<string, Map<string, Named>>();
  const reverse = new Map<string, string[]>();
  const addReverse = (address: string, name: string): void => {
    const key = reverseName(address);
    const names = reverse.get(key);
    if (names) names.push(name);
    else reverse.set(key, [name]);
  };
  for (const service of services) {
    const byHostname = new Map<string, ZoneEndpoint[]>();
    const base = `${service.name}.${service.namespace}.svc.${domain}`;
    for (const endpoint of service.endpoints) {
      const hostname = hostnameOf(endpoint);
      byHostname.set(hostname, [...(byHostname.get(hostname) ?? []), endpoint]);
      addReverse(endpoint.address, `${hostname}.${base}`);
    }
    for (const address of service.clusterIPs) addReverse(address, base);
    const inNamespace = namespaces.get(service.namespace) ?? new Map<string, Named>();
    inNamespace.set(service.name, { service, byHostname });
    namespaces.set(service.namespace, inNamespace);
  }

  const soa: DnsRecord = {
    name: domain,
    type: 'SOA',
    ttl: ZONE_TTL,
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ZONE_TTL,
    },
  };
  const absent: ZoneAnswer = { kind: 'absent', authority: soa };
  const noData: ZoneAnswer = { kind: 'found', records: [], extra: [], authority: soa };
  const found = (records: readonly DnsRecord[], extra: readonly DnsRecord[] = []): ZoneAnswer =>
    records.length === 0 ? noData : { kind: 'found', records, extra };

  const ofService = (name: string, type: string, { service }: Named): ZoneAnswer => {
    if (service.externalName !== undefined) {
      const record: DnsRecord = { name, type: 'CNAME', ttl: ZONE_TTL, data: service.externalName };
      return type === 'CNAME' ? found([record]) : { kind: 'alias', record, target: service.externalName };
    }
    if (type === 'SRV') return ofPorts(name, service, () => true);
    return found(addressRecords(name, type, addressesOf(service)));
  };

  /** SRV records of the ports that `isWanted`, with the addresses of their targets. */
  const ofPorts = (name: string, service: ZoneService, isWanted: (port: ZonePort) => boolean): ZoneAnswer => {
    const base = `${service.name}.${service.namespace}.svc.${domain}`;
    const targets =
      service.clusterIPs.length > 0
        ? [{ target: base, addresses: service.clusterIPs, ports: service.ports }]
        : service.endpoints.map((endpoint) => ({
            target: `${hostnameOf(endpoint)}.${base}`,
            addresses: [endpoint.address],
            ports: endpoint.ports,
          }));
    const wanted = targets.flatMap(({ target, addresses, ports }) =>
      ports.filter((port) => port.name !== '' && isWanted(port)).map(({ port }) => ({ target, addresses, port })),
    );
    if (wanted.length === 0) return absent;
    const weight = Math.max(Math.floor(100 / wanted.length), 1);
    const records = wanted.map(
      ({ target, port }): DnsRecord => ({ name, type: 'SRV', ttl: ZONE_TTL, data: { priority: 0, weight, port, target } }),
    );
    const unique = new Map(wanted.map(({ target, addresses }) => [target, addresses]));
    return found(
      records,
      [...unique].flatMap(([target, addresses]) => addressRecords(target, 'ANY', addresses)),
    );
  };

  const underService = (name: string, type: string, labels: readonly string[], named: Named): ZoneAnswer => {
    const { service, byHostname } = named;
    const first = labels.at(-1) ?? '';
    if (!first.startsWith('_')) {
      const endpoints = labels.length === 1 ? byHostname.get(first) : undefined;
      if (!endpoints) return absent;
      return found(
        addressRecords(
          name,
          type,
          endpoints.map(({ address }) => address),
        ),
      );
    }
    const isProtocol = ({ protocol }: ZonePort): boolean => `_${protocol.toLowerCase()}` === first;
    const ports = service.clusterIPs.length > 0 ? service.ports : service.endpoints.flatMap((endpoint) => endpoint.ports);
    if (labels.length === 1) return ports.some((port) => port.name !== '' && isProtocol(port)) ? noData : absent;
    if (labels.length > 2) return absent;
    const answer = ofPorts(name, service, (port) => isProtocol(port) && `_${port.name.toLowerCase()}` === labels[0]);
    return answer.kind === 'found' && type !== 'SRV' && type !== 'ANY' ? noData : answer;
  };

  const underSvc = (name: string, type: string, labels: readonly string[]): ZoneAnswer => {
    const namespace = labels.at(-1);
    if (namespace === undefined) return noData;
    const services = namespaces.get(namespace);
    if (!services) return absent;
    const serviceName = labels.at(-2);
    if (serviceName === undefined) return noData;
    const named = services.get(serviceName);
    if (!named) return absent;
    return labels.length === 2 ? ofService(name, type, named) : underService(name, type, labels.slice(0, -2), named);
  };

  /** The address is in the name: whether such a Pod exists is not asked. */
  const underPod = (name: string, type: string, labels: readonly string[]): ZoneAnswer => {
    if (labels.length < 2) return noData;
    const dashed = labels.length === 2 ? (labels[0] ?? '') : '';
    const address = [dashed.replaceAll('-', '.'), dashed.replaceAll('-', ':')].find((text) => isIPv4(text) || isIPv6(text));
    return address === undefined ? absent : found(addressRecords(name, type, [address]));
  };

  return {
    answer({ name, type }) {
      const lower = name.toLowerCase();
      if (lower !== domain && !lower.endsWith(`.${domain}`)) {
        const names = lower.endsWith('.arpa') ? reverse.get(lower) : undefined;
        if (!names) return { kind: 'outside' };
        if (type !== 'PTR' && type !== 'ANY') return { kind: 'found', records: [], extra: [], authority: { ...soa, name: lower } };
        return found(names.map((target) => ({ name, type: 'PTR', ttl: ZONE_TTL, data: target })));
      }
      const labels = lower === domain ? [] : lower.slice(0, -domain.length - 1).split('.');
      switch (labels.at(-1)) {
        case undefined:
          if (type === 'SOA' || type === 'ANY') return found([soa]);
          if (type === 'NS') return found([{ name, type: 'NS', ttl: ZONE_TTL, data: `ns.dns.${domain}` }]);
          return noData;
        case 'svc':
          return underSvc(name, type, labels.slice(0, -1));
        case 'pod':
          return underPod(name, type, labels.slice(0, -1));
        case 'dns-version':
          if (labels.length > 1) return absent;
          return type === 'TXT' || type === 'ANY' ? found([{ name, type: 'TXT', ttl: ZONE_TTL, data: SPECIFICATION_VERSION }]) : noData;
        default:
          return absent;
      }
    },
  };
}

function addressesOf(service: ZoneService): readonly string[] {
  return service.clusterIPs.length > 0 ? service.clusterIPs : [...new Set(service.endpoints.map(({ address }) => address))];
}

function addressRecords(name: string, type: string, addresses: readonly string[]): DnsRecord[] {
  const records: DnsRecord[] = [];
  for (const address of addresses) {
    const record: RecordData = { type: address.includes(':') ? 'AAAA' : 'A', data: address };
    if (type === record.type || type === 'ANY') records.push({ name, ttl: ZONE_TTL, ...record });
  }
  return records;
}

/** A label for an endpoint that has none: the same for the same address, in every responder. */
function hostnameOf({ hostname, address }: ZoneEndpoint): string {
  return hostname === undefined || hostname === '' ? address.replaceAll(/[.:]/g, '-').toLowerCase() : hostname.toLowerCase();
}
