import type { Pod, PodStatus } from '@dure/api';
import { isConflict, isNotFound, pods } from '@dure/api';
import type { Client } from '@dure/client';
import { type Clock, isAbort, type Logger, retryDelayMs } from '@dure/foundation';
import { podKey } from '../pod-identity.ts';
import { statusPatch } from './status-patch.ts';

export interface StatusManagerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Tracked {
  pod: Pod;
  /** What the API is believed to have. */
  known: PodStatus | undefined;
  wanted: PodStatus | undefined;
  writing: Promise<void> | undefined;
  /** The API no longer has this Pod. */
  gone: boolean;
  readonly stop: AbortController;
}

const BACKOFF = { baseMs: 200, maxMs: 10_000 };

/** Writes Pod statuses: at once, only what changed, one write in flight per Pod, the newest state wins, retried until it is in. */
export class StatusManager {
  readonly #options: StatusManagerOptions;
  readonly #tracked = new Map<string, Tracked>();

  constructor(options: StatusManagerOptions) {
    this.#options = options;
  }

  /** The Pod as a watch last showed it. What somebody else changed of ours is written again by the next {@link set}. */
  observe(pod: Pod): void {
    const tracked = this.#tracked.get(pod.metadata.uid);
    if (tracked === undefined) {
      this.#tracked.set(pod.metadata.uid, {
        pod,
        known: pod.status,
        wanted: undefined,
        writing: undefined,
        gone: false,
        stop: new AbortController(),
      });
      return;
    }
    tracked.pod = pod;
    // A write under way knows better than a watch event from before it.
    if (tracked.writing === undefined) tracked.known = pod.status;
  }

  /** Wants `status` in the API. Returns at once. */
  set(uid: string, status: PodStatus): void {
    const tracked = this.#tracked.get(uid);
    if (tracked === undefined || tracked.gone) return;
    tracked.wanted = status;
    tracked.writing ??= this.#write(tracked).finally(() => {
      tracked.writing = undefined;
    });
  }

  /** What {@link set} was last given, or what the API had. */
  latest(uid: string): PodStatus | undefined {
    const tracked = this.#tracked.get(uid);
    return tracked?.wanted ?? tracked?.known;
  }

  /** Resolves once what is wanted is in the API, or the Pod is gone from it. */
  async flushed(uid: string): Promise<void> {
    await this.#tracked.get(uid)?.writing;
  }

  forget(uid: string): void {
    this.#tracked.get(uid)?.stop.abort();
    this.#tracked.delete(uid);
  }

  async #write(tracked: Tracked): Promise<void> {
    const { client, clock, log } = this.#options;
    const signal = AbortSignal.any([this.#options.signal, tracked.stop.signal]);
    for (let failures = 0; !signal.aborted && !tracked.gone; ) {
      const { pod, wanted } = tracked;
      if (wanted === undefined) return;
      const patch = statusPatch(pod, tracked.known, wanted);
      if (patch === undefined) return;
      const { name, namespace } = pod.metadata;
      try {
        const written = await client.patch(
          pods,
          { name, ...(namespace === undefined ? {} : { namespace }) },
          { kind: 'strategic', patch },
          { subresource: 'status' },
          signal,
        );
        tracked.known = written.status;
        failures = 0;
        // The server keeps some values in its own way; asking again for the same would never end.
        if (tracked.wanted === wanted) return;
      } catch (error) {
        if (isAbort(error, signal)) return;
        // Another Pod has the name now, or none.
        if (isNotFound(error) || isConflict(error)) {
          tracked.gone = true;
          return;
        }
        failures += 1;
        log.warn('pod status not written, trying again', { pod: podKey(pod), error });
        await clock.sleep(retryDelayMs(failures, BACKOFF), signal).catch(() => undefined);
      }
    }
  }
}
