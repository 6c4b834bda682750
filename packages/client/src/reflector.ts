import { isExpired, type KubeObject, type ResourceRef, StatusError } from '@dure/api';
import { type Clock, type Logger, type Random, retryDelayMs } from '@dure/foundation';
import type { Client } from './client.ts';
import { isResourceVersionTooLarge, retryAfterMs } from './status-answer.ts';

/** Where a reflector puts what it sees. Called in order, never concurrently. */
export interface ReflectorTarget<T extends KubeObject> {
  /** Everything that exists at one revision. Comes first, and again whenever the watch could not be continued. */
  replace(items: readonly T[]): void;
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Client;
  readonly ref: ResourceRef<T>;
  readonly target: ReflectorTarget<T>;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Objects asked for at once. 0 asks for all in one answer, which suits a server in the same process. Default: 500. */
  readonly pageSize?: number;
  /** Gets the first state through the watch itself, if the server can. Default: false. */
  readonly watchList?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const PAGE_SIZE = 500;
/** Watches end after 5 to 10 minutes, so that load moves to other servers and nothing hangs for good. */
const WATCH_SECONDS_MIN = 300;
/** @see client-go's reflector: 800 ms doubling to 30 s, jittered, forgotten after two minutes of success. */
const BACKOFF = { baseMs: 800, maxMs: 30_000 };
/** A watch that stood this long was healthy: the next failure is a first one. */
const HEALTHY_AFTER_MS = 10_000;
/** A server that ends a watch at once would otherwise be asked in a busy loop. */
const SHORT_WATCH_MS = 1_000;

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/**
 * Keeps `target` equal to a collection of the API until `signal` aborts; never throws otherwise.
 * It lists, then watches from the list's revision. A broken watch goes on from the last revision seen (bookmarks included), so no
 * event is missed; only when the server no longer has that revision (410) is everything listed anew.
 */
export async function runReflector<T extends KubeObject>(options: ReflectorOptions<T>, signal: AbortSignal): Promise<void> {
  await new Reflector(options, signal).run();
}

class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  /** Where the next watch starts; `undefined`: list first. */
  #resourceVersion: string | undefined;
  #failures = 0;
  #paginate: boolean;
  #watchList: boolean;

  constructor(options: ReflectorOptions<T>, signal: AbortSignal) {
    this.#options = options;
    this.#log = options.log.child({ resource: options.ref.resource });
    this.#signal = signal;
    this.#paginate = (options.pageSize ?? PAGE_SIZE) > 0;
    this.#watchList = options.watchList ?? false;
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const startedMs = this.#options.clock.monotonicMs();
      try {
        if (this.#resourceVersion === undefined && !this.#watchList) this.#resourceVersion = await this.#list();
        const events = await this.#watch();
        const lastedMs = this.#options.clock.monotonicMs() - startedMs;
        if (events === 0 && lastedMs < SHORT_WATCH_MS) await this.#backOff(undefined);
        else this.#failures = 0;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (this.#options.clock.monotonicMs() - startedMs >= HEALTHY_AFTER_MS) this.#failures = 0;
        await this.#recover(error);
      }
    }
  }

  async #list(): Promise<string> {
    const { client, ref, target, namespace, labelSelector, fieldSelector, pageSize = PAGE_SIZE } = this.#options;
    const selection = {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    };
    if (!this.#paginate) {
      const all = await client.list<T>(ref, selection, this.#signal);
      target.replace(all.items);
      return all.metadata.resourceVersion ?? '';
    }
    const items: T[] = [];
    let page = await client.list<T>(ref, { ...selection, limit: pageSize }, this.#signal);
    for (;;) {
      for (const item of page.items) items.push(item);
      const next = page.metadata.continue;
      if (!next) break;
      page = await client.list<T>(ref, { ...selection, limit: pageSize, continue: next }, this.#signal);
    }
    target.replace(items);
    return page.metadata.resourceVersion ?? '';
  }

  /** @returns How many frames came. */
  async #watch(): Promise<number> {
    const { client, ref, target, namespace, labelSelector, fieldSelector, random } = this.#options;
    const initial: T[] | undefined = this.#resourceVersion === undefined ? [] : undefined;
    const frames = client.watch<T>(
      ref,
      {
        ...(namespace !== undefined && { namespace }),
        ...(labelSelector !== undefined && { labelSelector }),
        ...(fieldSelector !== undefined && { fieldSelector }),
        ...(initial === undefined
          ? { resourceVersion: this.#resourceVersion ?? '' }
          : { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' as const }),
        allowWatchBookmarks: true,
        timeoutSeconds: WATCH_SECONDS_MIN + random.integer(WATCH_SECONDS_MIN),
      },
      this.#signal,
    );
    let count = 0;
    let pending = initial;
    for await (const event of frames) {
      count += 1;
      if (event.type === 'BOOKMARK') {
        if (pending !== undefined && event.object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true') {
          target.replace(pending);
          pending = undefined;
        }
      } else if (pending === undefined) {
        target.apply(event.type, event.object);
      } else {
        pending.push(event.object);
      }
      // Half of the first state is none: only after its end may a broken watch be continued.
      if (pending === undefined) {
        this.#resourceVersion = event.object.metadata.resourceVersion;
        this.#failures = 0;
      }
    }
    return count;
  }

  async #recover(error: unknown): Promise<void> {
    if (isExpired(error)) {
      // A list that expired between two pages would expire again if the server is that busy: next time in one piece.
      if (this.#resourceVersion === undefined) this.#paginate = false;
      this.#log.debug('resource version expired, listing anew', { resourceVersion: this.#resourceVersion });
      this.#resourceVersion = undefined;
      this.#failures += 1;
      // The first time at once: an expired watch is normal after a pause, and every moment without one is a stale cache.
      if (this.#failures > 1) await this.#backOff(error);
      return;
    }
    // The server does not know this revision yet (another replica, a restored backup): only a list tells what is true there.
    if (isResourceVersionTooLarge(error)) this.#resourceVersion = undefined;
    else if (this.#watchList && this.#resourceVersion === undefined && isRefused(error)) this.#watchList = false;
    this.#log.warn('list or watch failed, trying again', { error });
    await this.#backOff(error);
  }

  async #backOff(error: unknown): Promise<void> {
    this.#failures += 1;
    const delayMs = Math.max(retryDelayMs(this.#failures, BACKOFF), retryAfterMs(error) ?? 0);
    const jittered = delayMs * (1 + this.#options.random.next());
    await this.#options.clock.sleep(jittered, this.#signal).catch(() => undefined);
  }
}

/** A server without watch-list answers 400 or 422 to `sendInitialEvents`. */
function isRefused(error: unknown): boolean {
  return error instanceof StatusError && (error.status.code === 400 || error.status.code === 422);
}
