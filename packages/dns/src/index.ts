export { type DnsServerOptions, type DnsSockets, serveDns } from './dns-server.ts';
export type { DnsRecord, Question, RecordData } from './records.ts';
export { createResponder, type DnsTransport, type Responder, type ResponderCounters, type ResponderOptions } from './responder.ts';
export { createUpstream, type Upstream, type UpstreamOptions, type UpstreamServer } from './upstream.ts';
export { compileZone, type Zone, type ZoneAnswer } from './zone.ts';
export type { ZoneEndpoint, ZonePort, ZoneProtocol, ZoneService, ZoneTable } from './zone-table.ts';
