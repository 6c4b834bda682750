import { createHash } from 'node:crypto';
import { endpoints as endpointsRef, isAlreadyExists, isNotFound, type JsonObject, type Lease, leases } from '@dure/api';
import { type BootstrapFacts, kubernetesEndpoints } from '@dure/apiserver';
import type { Client } from '@dure/client';
import { type Clock, isAbort, type Logger, rfc3339Micros } from '@dure/foundation';
import { type RefOf, replaceObject } from './ensure-objects.ts';

export interface ServerAddressesOptions {
  readonly client: Client;
  readonly refOf: RefOf;
  /** This server's own address and port among them. */
  readonly facts: BootstrapFacts;
  readonly clock: Clock;
  readonly log: Logger;
}

const NAMESPACE = 'kube-system';
/** As upstream marks the Leases of API servers. @see KEP-1965 */
const LABEL = { 'apiserver.kubernetes.io/identity': 'kube-apiserver' } as const;
const ADDRESS_ANNOTATION = 'dure.dev/advertised-address';
const RENEW_MS = 10_000;
/** A server that has not renewed its Lease for so long is taken out. */
const EXPIRES_MS = 30_000;

/**
 * Keeps the endpoints of the `kubernetes` Service in step with the API servers that are alive. Each renews a Lease of its own; each puts the addresses of
 * all whose Leases change into the endpoints. All of them listen on the same port.
 */
export class ServerAddresses {
  readonly #options: ServerAddressesOptions;
  readonly #name: string;
  /** When each Lease was last seen to change, by monotonic time: other machines' clocks do not matter. */
  readonly #seen = new Map<string, { readonly renewTime: string; readonly atMs: number }>();

  constructor(options: ServerAddressesOptions) {
    const { advertiseAddress, apiPort } = options.facts;
    this.#options = options;
    this.#name = `apiserver-${createHash('sha256').update(`${advertiseAddress}:${apiPort}`).digest('hex').slice(0, 26)}`;
  }

  /** Renews the Lease and puts the endpoints right, once. @throws {StatusError} */
  async update(signal: AbortSignal): Promise<void> {
    await this.#renew(signal);
    await this.#publish(await this.#alive(signal), signal);
  }

  /** Does so until `signal` aborts, then takes this server out. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, facts, client } = this.#options;
    while (!signal.aborted) {
      try {
        await clock.sleep(RENEW_MS, signal);
        await this.update(signal);
      } catch (error) {
        if (!isAbort(error, signal)) log.warn('could not keep the endpoints of the API servers; it is tried again', { error });
      }
    }
    const late = new AbortController();
    const done = new AbortController();
    clock.sleep(RENEW_MS / 4, done.signal).then(
      () => late.abort(new Error('stop waiting for the store')),
      () => undefined,
    );
    try {
      await client.delete(leases, { namespace: NAMESPACE, name: this.#name }, {}, late.signal);
      const others = (await this.#alive(late.signal)).filter((address) => address !== facts.advertiseAddress);
      // The last one leaves its address: clients that wait for the cluster find it again there.
      if (others.length > 0) await this.#publish(others, late.signal);
    } catch (error) {
      log.info('could not take this API server out of the endpoints; the others will', { error });
    } finally {
      done.abort();
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { client, clock, facts } = this.#options;
    const key = { namespace: NAMESPACE, name: this.#name };
    const metadata = { ...key, labels: LABEL, annotations: { [ADDRESS_ANNOTATION]: facts.advertiseAddress } };
    const spec = { holderIdentity: this.#name, leaseDurationSeconds: EXPIRES_MS / 1000, renewTime: rfc3339Micros(clock.now()) };
    try {
      await client.patch(leases, key, { kind: 'merge', patch: { metadata, spec } }, {}, signal);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create<Lease>(leases, { metadata, spec }, {}, signal).catch((failure: unknown) => {
        if (!isAlreadyExists(failure)) throw failure;
      });
    }
  }

  /** Addresses of servers whose Leases are fresh, in order. Removes Leases that are not. */
  async #alive(signal: AbortSignal): Promise<readonly string[]> {
    const { client, clock } = this.#options;
    const selector = Object.entries(LABEL).map(([name, value]) => `${name}=${value}`);
    const { items } = await client.list<Lease>(leases, { namespace: NAMESPACE, labelSelector: selector.join(',') }, signal);
    const nowMs = clock.monotonicMs();
    const addresses = new Set<string>();
    for (const { metadata, spec } of items) {
      const renewTime = spec?.renewTime ?? '';
      const seen = this.#seen.get(metadata.name);
      if (seen?.renewTime !== renewTime) this.#seen.set(metadata.name, { renewTime, atMs: nowMs });
      const address = metadata.annotations?.[ADDRESS_ANNOTATION];
      if (seen?.renewTime === renewTime && nowMs - seen.atMs > EXPIRES_MS) {
        const preconditions = { resourceVersion: metadata.resourceVersion };
        await client.delete(leases, { namespace: NAMESPACE, name: metadata.name }, { preconditions }, signal).catch(() => undefined);
        this.#seen.delete(metadata.name);
      } else if (address !== undefined) addresses.add(address);
    }
    return [...addresses].sort();
  }

  async #publish(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const { client, refOf, facts } = this.#options;
    const objects = kubernetesEndpoints(facts, addresses);
    const standing = await client.get(endpointsRef, { namespace: 'default', name: 'kubernetes' }, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return undefined;
    });
    const known = standing?.subsets?.flatMap((subset) => (subset.addresses ?? []).map(({ ip }) => ip)) ?? [];
    if (known.join() === addresses.join() && standing?.subsets?.[0]?.ports?.[0]?.port === facts.apiPort) return;
    // The slice first: who looks whether there is anything to do looks at the other.
    for (const object of objects.toReversed()) await replaceObject(client, refOf, object as JsonObject, signal);
  }
}
