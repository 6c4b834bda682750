import { type Clock, type Logger, retryDelayMs } from '@dure/foundation';
import type { Entry, Revision, StoreEvent } from '../contract.ts';
import { CompactedError } from '../errors.ts';
import type { WatchHub } from '../watch-hub.ts';
import type { EtcdConnection } from './etcd-connection.ts';
import { ALL_KEYS, type EtcdKeys } from './etcd-keys.ts';
import { WATCH, type WatchEvent, type WatchResponse } from './etcd-messages.ts';
import { EventAssembly } from './event-assembly.ts';

export interface EtcdFeedOptions {
  readonly connection: EtcdConnection;
  readonly keys: EtcdKeys;
  readonly hub: WatchHub;
  /** Reads the newest revision, linearizable. */
  readonly newest: () => Promise<Revision>;
  readonly clock: Clock;
  readonly log: Logger;
}

const RETRY = { baseMs: 50, maxMs: 2_000 };

/**
 * One watch of all of etcd's keys that feeds every watcher of the store, resumed at its revision after each break.
 *
 * All keys, since every revision of etcd has an event: so the last event says how far the watch has come, for quiet prefixes too. etcd's own
 * progress answers cannot be used for that: before 3.4.25 and 3.5.8 they may overtake events. @see https://github.com/etcd-io/etcd/issues/15220
 */
export class EtcdFeed {
  readonly #options: EtcdFeedOptions;
  #revision = 0 as Revision;
  #hasBegun = false;
  #wanted: Revision | undefined;
  #failures = 0;
  #lastError: unknown;
  readonly #started: Promise<void>;
  #start: () => void = () => undefined;

  constructor(options: EtcdFeedOptions) {
    this.#options = options;
    this.#started = new Promise((resolve) => {
      this.#start = resolve;
    });
  }

  /** Resolves once etcd has taken the watch for the first time. */
  get started(): Promise<void> {
    return this.#started;
  }

  /** Why the watch broke last. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Every event up to here has been published; where it began, once it has. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Publishes progress as soon as events up to `revision` have been published. */
  announce(revision: Revision): void {
    if (this.#revision >= revision) this.#options.hub.progress(this.#revision);
    else if (this.#wanted === undefined || this.#wanted < revision) this.#wanted = revision;
  }

  /** Follows etcd until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, connection } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#lastError = error;
        connection.moveOnAfter(error);
        // Once for each break, not for each try.
        if (this.#failures === 0) log.warn('watch of etcd broke; it goes on where it was', { revision: this.#revision, error });
        this.#failures += 1;
        await clock.sleep(retryDelayMs(this.#failures, RETRY), signal).catch(() => undefined);
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { connection } = this.#options;
    const assembly = new EventAssembly((revision, events) => this.#publish(revision as Revision, events));
    // To go on it asks from the present revision, not from behind it: so etcd says if that has been compacted. Its event is dropped when it comes again.
    for await (const response of watchFrom(connection, this.#hasBegun ? this.#revision : 'now', 'follow etcd', signal)) {
      if (response.compactRevision > 0) {
        // What came between is gone.
        await this.#restart(response.compactRevision as Revision);
        return;
      }
      if (response.created) {
        const revision = response.header.revision as Revision;
        // Restored from a backup: what came after it has not happened.
        if (revision < this.#revision) {
          await this.#restart(revision);
          return;
        }
        this.#began(revision);
      }
      assembly.add(response);
    }
  }

  #began(revision: Revision): void {
    if (!this.#hasBegun) this.#revision = revision;
    else if (this.#failures > 0) this.#options.log.info('watch of etcd goes on', { revision: this.#revision });
    this.#failures = 0;
    this.#hasBegun = true;
    this.#start();
  }

  /** Begins anew at the newest revision, without the watchers there are. */
  async #restart(oldest: Revision): Promise<void> {
    const { log, hub, newest } = this.#options;
    const was = this.#revision;
    this.#revision = await newest();
    hub.destroy(new CompactedError(was, oldest));
    log.warn('history of etcd does not reach back to where its watch was; watchers list anew', { was, revision: this.#revision });
  }

  #publish(revision: Revision, events: readonly WatchEvent[]): void {
    const { keys, hub } = this.#options;
    if (revision <= this.#revision) return;
    for (const event of events) {
      const told = storeEvent(event, keys);
      if (told === 'incomplete') hub.destroy(new CompactedError(this.#revision, revision));
      else if (told !== undefined) hub.publish(told);
    }
    this.#revision = revision;
    if (this.#wanted !== undefined && this.#wanted <= revision) {
      this.#wanted = undefined;
      hub.progress(revision);
    }
  }
}

/**
 * All events of etcd from revision `from` on, as they come; `now`: after the one that the first answer names. Ends with an answer that has `compactRevision` where `from` is before the last compaction.
 * @throws {Error} The stream broke, or etcd ended it.
 */
export async function* watchFrom(
  connection: EtcdConnection,
  from: Revision | 'now',
  what: string,
  signal: AbortSignal,
): AsyncGenerator<WatchResponse, void, undefined> {
  const stream = await connection.stream(WATCH, what, signal);
  const cancel = (): void => stream.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    // For etcd 0 is "from now on"; its first event is at 2.
    const startRevision = from === 'now' ? 0 : Math.max(from, 1);
    stream.write({ createRequest: { ...ALL_KEYS, startRevision, prevKv: true, fragment: true } });
    for await (const response of stream as AsyncIterable<WatchResponse>) {
      yield response;
      if (response.compactRevision > 0) return;
      if (response.canceled) throw new Error(`${what}: etcd ended the watch: ${response.cancelReason}`);
    }
    throw new Error(`${what}: etcd ended the stream`);
  } finally {
    signal.removeEventListener('abort', cancel);
    stream.cancel();
  }
}

/**
 * `event` as the store tells it; `undefined` for a key of others. `incomplete`: what stood there before has been compacted while the event was on
 * its way, and with it what the contract promises to tell.
 */
export function storeEvent({ type, kv, prevKv }: WatchEvent, keys: EtcdKeys): StoreEvent | 'incomplete' | undefined {
  const key = keys.decode(kv.key);
  if (key === undefined) return undefined;
  const revision = kv.modRevision as Revision;
  const previous: Entry | undefined = prevKv ? keys.entry(prevKv) : undefined;
  if (type === 1) return previous === undefined ? 'incomplete' : { kind: 'delete', key, revision, previous };
  if (previous === undefined && kv.createRevision < kv.modRevision) return 'incomplete';
  return { kind: 'put', key, revision, entry: keys.entry(kv), ...(previous && { previous }) };
}
