import { describe, expect, it } from 'vitest';
import { reverseName } from './records.ts';
import { compileZone, type ZoneAnswer } from './zone.ts';
import type { ZoneService, ZoneTable } from './zone-table.ts';

const web: ZoneService = {
  namespace: 'default',
  name: 'web',
  clusterIPs: ['10.43.0.5', 'fd43::5'],
  ports: [
    { name: 'http', protocol: 'TCP', port: 80 },
    { name: 'quic', protocol: 'UDP', port: 443 },
    { name: '', protocol: 'TCP', port: 9 },
  ],
  endpoints: [],
};
const peers: ZoneService = {
  namespace: 'db',
  name: 'peers',
  clusterIPs: [],
  ports: [],
  endpoints: [
    { address: '10.42.1.7', hostname: 'db-0', ports: [{ name: 'sql', protocol: 'TCP', port: 5432 }] },
    { address: '10.42.2.8', ports: [{ name: 'sql', protocol: 'TCP', port: 5433 }] },
  ],
};
const alias: ZoneService = { namespace: 'default', name: 'out', clusterIPs: [], externalName: 'example.org', ports: [], endpoints: [] };
const table: ZoneTable = { clusterDomain: 'cluster.local', services: [web, peers, alias] };
const zone = compileZone(table, 7);

/** An answer in one line, as `dig +short` would print it. */
function short(answer: ZoneAnswer): string[] | string {
  if (answer.kind === 'alias') return `alias ${answer.target}`;
  if (answer.kind !== 'found') return answer.kind;
  return answer.records.map(({ type, data }) => {
    if (typeof data === 'string') return `${type} ${data}`;
    return 'target' in data ? `${type} ${data.priority} ${data.weight} ${data.port} ${data.target}` : type;
  });
}

describe('a zone', () => {
  const cases: readonly { name: string; type: string; says: string[] | string }[] = [
    { name: 'web.default.svc.cluster.local', type: 'A', says: ['A 10.43.0.5'] },
    { name: 'web.default.svc.cluster.local', type: 'AAAA', says: ['AAAA fd43::5'] },
    { name: 'WEB.Default.svc.CLUSTER.local', type: 'A', says: ['A 10.43.0.5'] },
    { name: 'web.default.svc.cluster.local', type: 'TXT', says: [] },
    { name: 'nope.default.svc.cluster.local', type: 'A', says: 'absent' },
    { name: 'web.other.svc.cluster.local', type: 'A', says: 'absent' },
    { name: 'default.svc.cluster.local', type: 'A', says: [] },
    { name: 'other.svc.cluster.local', type: 'A', says: 'absent' },
    { name: 'svc.cluster.local', type: 'A', says: [] },
    { name: 'cluster.local', type: 'A', says: [] },
    { name: 'cluster.local', type: 'SOA', says: ['SOA'] },
    { name: 'cluster.local', type: 'NS', says: ['NS ns.dns.cluster.local'] },
    { name: 'elsewhere.cluster.local', type: 'A', says: 'absent' },
    { name: 'a.b.web.default.svc.cluster.local', type: 'A', says: 'absent' },
    // Headless: every address, and one name each.
    { name: 'peers.db.svc.cluster.local', type: 'A', says: ['A 10.42.1.7', 'A 10.42.2.8'] },
    { name: 'peers.db.svc.cluster.local', type: 'AAAA', says: [] },
    { name: 'db-0.peers.db.svc.cluster.local', type: 'A', says: ['A 10.42.1.7'] },
    { name: '10-42-2-8.peers.db.svc.cluster.local', type: 'A', says: ['A 10.42.2.8'] },
    { name: 'db-9.peers.db.svc.cluster.local', type: 'A', says: 'absent' },
    // Ports.
    { name: '_http._tcp.web.default.svc.cluster.local', type: 'SRV', says: ['SRV 0 100 80 web.default.svc.cluster.local'] },
    { name: '_HTTP._TCP.web.default.svc.cluster.local', type: 'SRV', says: ['SRV 0 100 80 web.default.svc.cluster.local'] },
    { name: '_quic._udp.web.default.svc.cluster.local', type: 'SRV', says: ['SRV 0 100 443 web.default.svc.cluster.local'] },
    { name: '_http._udp.web.default.svc.cluster.local', type: 'SRV', says: 'absent' },
    { name: '_http._tcp.web.default.svc.cluster.local', type: 'A', says: [] },
    { name: '_tcp.web.default.svc.cluster.local', type: 'SRV', says: [] },
    { name: '_sctp.web.default.svc.cluster.local', type: 'SRV', says: 'absent' },
    {
      name: '_sql._tcp.peers.db.svc.cluster.local',
      type: 'SRV',
      says: ['SRV 0 50 5432 db-0.peers.db.svc.cluster.local', 'SRV 0 50 5433 10-42-2-8.peers.db.svc.cluster.local'],
    },
    // Aliases.
    { name: 'out.default.svc.cluster.local', type: 'CNAME', says: ['CNAME example.org'] },
    { name: 'out.default.svc.cluster.local', type: 'A', says: 'alias example.org' },
    // Pods.
    { name: '10-42-1-7.default.pod.cluster.local', type: 'A', says: ['A 10.42.1.7'] },
    { name: 'fd42--7.default.pod.cluster.local', type: 'AAAA', says: ['AAAA fd42::7'] },
    { name: 'nonsense.default.pod.cluster.local', type: 'A', says: 'absent' },
    // Back from addresses.
    { name: '5.0.43.10.in-addr.arpa', type: 'PTR', says: ['PTR web.default.svc.cluster.local'] },
    { name: '7.1.42.10.in-addr.arpa', type: 'PTR', says: ['PTR db-0.peers.db.svc.cluster.local'] },
    { name: '8.2.42.10.in-addr.arpa', type: 'PTR', says: ['PTR 10-42-2-8.peers.db.svc.cluster.local'] },
    { name: '1.1.1.1.in-addr.arpa', type: 'PTR', says: 'outside' },
    { name: 'dns-version.cluster.local', type: 'TXT', says: ['TXT 1.1.0'] },
    { name: 'example.org', type: 'A', says: 'outside' },
    { name: 'notcluster.local', type: 'A', says: 'outside' },
  ];
  it.each(cases)('says to $type $name: $says', ({ name, type, says }) => {
    expect(short(zone.answer({ name, type }))).toEqual(says);
  });

  it('gives 5 seconds to every record, and its SOA with every negative answer', () => {
    const positive = zone.answer({ name: 'web.default.svc.cluster.local', type: 'A' });
    expect(positive.kind === 'found' && positive.records.every(({ ttl }) => ttl === 5)).toBe(true);
    const negative = zone.answer({ name: 'nope.default.svc.cluster.local', type: 'A' });
    expect(negative).toMatchObject({ kind: 'absent', authority: { type: 'SOA', ttl: 5, data: { serial: 7, minimum: 5 } } });
    expect(zone.answer({ name: 'svc.cluster.local', type: 'A' })).toMatchObject({ records: [], authority: { type: 'SOA' } });
  });

  it('adds the addresses of SRV targets', () => {
    const answer = zone.answer({ name: '_sql._tcp.peers.db.svc.cluster.local', type: 'SRV' });
    expect(answer).toMatchObject({
      extra: [
        { type: 'A', data: '10.42.1.7' },
        { type: 'A', data: '10.42.2.8' },
      ],
    });
  });

  it('turns IPv6 addresses round nibble by nibble', () => {
    expect(reverseName('fd43::5')).toBe('5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.d.f.ip6.arpa');
  });
});
