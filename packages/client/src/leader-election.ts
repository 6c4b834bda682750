import { isAlreadyExists, isConflict, isNotFound, type Lease, leases } from '@dure/api';
import { type Clock, isAbort, type Logger, type Random, rfc3339Micros } from '@dure/foundation';
import type { Client, ObjectKey } from './client.ts';

export interface LeaderElectionOptions {
  readonly client: Client;
  /** The Lease that candidates compete for. */
  readonly lease: Required<ObjectKey>;
  /** Unique to this candidate, also across restarts on one machine. */
  readonly identity: string;
  /** Others wait this long after the last renewal they saw. Default: 15 s. */
  readonly leaseDurationMs?: number;
  /** A leader that could not renew for this long stops leading. Default: 10 s, below `leaseDurationMs`. */
  readonly renewDeadlineMs?: number;
  /** Between tries. Default: 2 s, below `renewDeadlineMs`. */
  readonly retryPeriodMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const JITTER = 1.2;

/**
 * Runs `lead` while this candidate holds the Lease, and competes again after it was lost, until `signal` aborts; then gives the Lease up.
 *
 * Promises: `lead`'s signal aborts at the latest `renewDeadlineMs` after the last renewal, which is before any other candidate with the
 * same settings may take over. Does not promise that two never lead at once when a process is stopped and continued: writes still
 * need their resourceVersion. Other candidates' clocks do not matter; each measures from when it saw the Lease change.
 * @param lead Must settle soon after its signal aborts: only then does anyone compete again. If it settles on its own, the election ends.
 * @throws what `lead` throws. @throws {RangeError} The three times do not fit.
 */
export async function runLeaderElection(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const candidate = new Candidate(options);
  const { clock, log } = options;
  while (!signal.aborted) {
    if (!(await candidate.acquire(signal))) return;
    log.info('became leader', { lease: options.lease.name, identity: options.identity });
    const lost = new AbortController();
    const leading = AbortSignal.any([signal, lost.signal]);
    const done = new AbortController();
    const renewing = candidate
      .renewUntilLost(AbortSignal.any([leading, done.signal]))
      .finally(() => lost.abort(new LeadershipLostError(options.lease.name)));
    try {
      await lead(leading);
      if (!leading.aborted) return;
    } catch (error) {
      if (!isAbort(error, leading) && error !== lost.signal.reason) throw error;
    } finally {
      done.abort();
      await renewing;
      await candidate.release();
    }
    if (!signal.aborted) {
      log.warn('lost leadership', { lease: options.lease.name });
      await clock.sleep(candidate.retryPeriodMs, signal).catch(() => undefined);
    }
  }
}

/** Reason of the signal given to what led: somebody else may lead now. */
export class LeadershipLostError extends Error {
  override readonly name = 'LeadershipLostError';
  readonly code = 'CLIENT_LEADERSHIP_LOST';

  constructor(lease: string) {
    super(`lead: lease ${lease} was not renewed in time`);
  }
}

class Candidate {
  readonly #options: LeaderElectionOptions;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** The Lease as last seen, and when (monotonic) it was last seen to change. */
  #observed: { readonly lease: Lease; readonly changedAtMs: number } | undefined;

  constructor(options: LeaderElectionOptions) {
    const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
    if (leaseDurationMs <= renewDeadlineMs)
      throw new RangeError(`leaseDurationMs ${leaseDurationMs} must exceed renewDeadlineMs ${renewDeadlineMs}`);
    if (renewDeadlineMs <= retryPeriodMs * JITTER) {
      throw new RangeError(`renewDeadlineMs ${renewDeadlineMs} must exceed ${JITTER} times retryPeriodMs ${retryPeriodMs}`);
    }
    this.#options = options;
    this.#leaseDurationMs = leaseDurationMs;
    this.#renewDeadlineMs = renewDeadlineMs;
    this.retryPeriodMs = retryPeriodMs;
  }

  /** @returns False if `signal` aborted first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options;
    while (!signal.aborted) {
      if (await this.#attempt(signal)) return true;
      await clock.sleep(this.retryPeriodMs * (1 + (JITTER - 1) * random.next()), signal).catch(() => undefined);
    }
    return false;
  }

  async renewUntilLost(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let renewedAtMs = clock.monotonicMs();
    for (;;) {
      await clock.sleep(this.retryPeriodMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      // A request that hangs must not carry us past the deadline.
      const deadline = new AbortController();
      const timer = new AbortController();
      const remainingMs = renewedAtMs + this.#renewDeadlineMs - clock.monotonicMs();
      void clock.sleep(Math.max(remainingMs, 0), timer.signal).then(
        () => deadline.abort(new LeadershipLostError(this.#options.lease.name)),
        () => undefined,
      );
      const startedMs = clock.monotonicMs();
      const renewed = await this.#attempt(AbortSignal.any([signal, deadline.signal]));
      timer.abort();
      if (renewed) renewedAtMs = startedMs;
      else if (deadline.signal.aborted || clock.monotonicMs() - renewedAtMs >= this.#renewDeadlineMs || this.#heldByOther()) return;
    }
  }

  /** Lets others take over at once. A failure only costs them the wait. */
  async release(): Promise<void> {
    const { client, clock, identity } = this.#options;
    const lease = this.#observed?.lease;
    if (lease?.spec?.holderIdentity !== identity) return;
    const deadline = new AbortController();
    const timer = new AbortController();
    void clock.sleep(this.retryPeriodMs, timer.signal).then(
      () => deadline.abort(),
      () => undefined,
    );
    const now = rfc3339Micros(clock.now());
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    await client.update(leases, { ...lease, spec }, {}, deadline.signal).catch((error: unknown) => {
      this.#options.log.debug('could not release lease', { lease: this.#options.lease.name, error });
    });
    timer.abort();
    this.#observed = undefined;
  }

  #heldByOther(): boolean {
    const holder = this.#observed?.lease.spec?.holderIdentity;
    return Boolean(holder) && holder !== this.#options.identity;
  }

  /** One try to take or renew the Lease. Failures are logged: the next try is soon. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { client, clock, lease: key, identity, log } = this.#options;
    try {
      const current = await client.get<Lease>(leases, key, signal).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      const now = rfc3339Micros(clock.now());
      const held = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000), renewTime: now };
      if (current === undefined) {
        const created = await client.create<Lease>(
          leases,
          { metadata: { namespace: key.namespace, name: key.name }, spec: { ...held, acquireTime: now, leaseTransitions: 0 } },
          {},
          signal,
        );
        this.#observe(created);
        return true;
      }
      this.#observe(current);
      if (!this.#mayTake(current)) return false;
      const ours = current.spec?.holderIdentity === identity;
      const spec = ours
        ? { ...current.spec, ...held }
        : { ...current.spec, ...held, acquireTime: now, leaseTransitions: (current.spec?.leaseTransitions ?? 0) + 1 };
      // The resourceVersion in it decides between candidates that try at once.
      this.#observe(await client.update<Lease>(leases, { ...current, spec }, {}, signal));
      return true;
    } catch (error) {
      if (!isConflict(error) && !isAlreadyExists(error) && !signal.aborted)
        log.warn('could not take or renew lease', { lease: key.name, error });
      return false;
    }
  }

  #observe(lease: Lease): void {
    if (this.#observed?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#observed = { lease, changedAtMs: this.#options.clock.monotonicMs() };
  }

  #mayTake({ spec }: Lease): boolean {
    if (!spec?.holderIdentity || spec.holderIdentity === this.#options.identity) return true;
    const durationMs = (spec.leaseDurationSeconds ?? 0) * 1000 || this.#leaseDurationMs;
    return this.#options.clock.monotonicMs() - (this.#observed?.changedAtMs ?? 0) >= durationMs;
  }
}
