import type { Random } from '@dure/foundation';
import type { ServiceEndpoint, ServiceEntry, ServicePort } from './service-table.ts';

/** From where a client comes: through the cluster IP, or through a port or address that the outside sees. */
export type TrafficScope = 'internal' | 'external';

/**
 * The endpoints that new connections may go to. Ready ones; if there are none, those that still serve while they end.
 * Traffic policy Local keeps to this node; otherwise the zone's own endpoints are used if every endpoint has a hint and one of them is for `zone`.
 * @see https://kubernetes.io/docs/reference/networking/virtual-ips/
 */
export function usableEndpoints(
  { internalTrafficPolicy, externalTrafficPolicy }: Pick<ServiceEntry, 'internalTrafficPolicy' | 'externalTrafficPolicy'>,
  { endpoints }: Pick<ServicePort, 'endpoints'>,
  scope: TrafficScope,
  zone?: string,
): readonly ServiceEndpoint[] {
  const policy = scope === 'internal' ? internalTrafficPolicy : externalTrafficPolicy;
  const allowed = policy === 'Local' ? endpoints.filter(({ local }) => local) : endpoints;
  const ready = allowed.filter((endpoint) => endpoint.ready);
  if (ready.length === 0) return allowed.filter(({ serving, terminating }) => serving && terminating);
  if (policy === 'Local' || zone === undefined) return ready;
  const near = ready.filter(({ zoneHints }) => zoneHints.includes(zone));
  return near.length > 0 && ready.every(({ zoneHints }) => zoneHints.length > 0) ? near : ready;
}

/** Clients remembered per port; beyond it the one that came first is forgotten. */
const AFFINITY_CLIENTS_MAX = 16_384;

interface Affinity {
  readonly key: string;
  readonly until: number;
}

/** Whose turn it is. One per Service port and scope; lives on when the endpoints change. */
export class EndpointBalancer {
  readonly #random: Random;
  #endpoints: readonly ServiceEndpoint[] = [];
  #keys: ReadonlySet<string> = new Set();
  #next = 0;
  #affinityMs = 0;
  readonly #affinities = new Map<string, Affinity>();

  constructor(random: Random) {
    this.#random = random;
  }

  get isEmpty(): boolean {
    return this.#endpoints.length === 0;
  }

  /** Whether it matters who the client is. */
  get hasAffinity(): boolean {
    return this.#affinityMs > 0;
  }

  /** Replaces the endpoints. @param affinitySeconds 0: none. */
  update(endpoints: readonly ServiceEndpoint[], affinitySeconds: number): void {
    // Each proxy starts somewhere else, so that the first endpoint is not everybody's first.
    if (this.isEmpty && endpoints.length > 0) this.#next = this.#random.integer(endpoints.length);
    this.#endpoints = endpoints;
    this.#keys = new Set(endpoints.map(endpointKey));
    this.#affinityMs = affinitySeconds * 1000;
    if (affinitySeconds === 0) this.#affinities.clear();
  }

  /** True while `key` may get new connections. */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /**
   * The next in turn that is not in `tried`; with session affinity the one that served `client` last.
   * @param nowMs Monotonic. @returns `undefined`: nothing is left to try.
   */
  choose(client: string, nowMs: number, tried?: ReadonlySet<string>): ServiceEndpoint | undefined {
    const known = this.#affinityMs > 0 ? this.#affinities.get(client) : undefined;
    if (known && known.until > nowMs && !tried?.has(known.key)) {
      const same = this.#endpoints.find((endpoint) => endpointKey(endpoint) === known.key);
      if (same) return this.#remember(client, same, nowMs);
    }
    for (let step = 0; step < this.#endpoints.length; step += 1) {
      const endpoint = this.#endpoints[this.#next % this.#endpoints.length];
      this.#next = (this.#next + 1) % this.#endpoints.length;
      if (endpoint && !tried?.has(endpointKey(endpoint))) return this.#remember(client, endpoint, nowMs);
    }
    return undefined;
  }

  #remember(client: string, endpoint: ServiceEndpoint, nowMs: number): ServiceEndpoint {
    if (this.#affinityMs === 0) return endpoint;
    this.#affinities.delete(client);
    this.#affinities.set(client, { key: endpointKey(endpoint), until: nowMs + this.#affinityMs });
    if (this.#affinities.size > AFFINITY_CLIENTS_MAX) {
      const [oldest] = this.#affinities.keys();
      if (oldest !== undefined) this.#affinities.delete(oldest);
    }
    return endpoint;
  }
}

/** What makes two endpoints the same. */
export function endpointKey({ address, port }: Pick<ServiceEndpoint, 'address' | 'port'>): string {
  return `${address} ${port}`;
}
