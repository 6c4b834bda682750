import { isConflict, isNotFound } from '@dure/api';
import { type Clock, isAbort, type Logger } from '@dure/foundation';
import type { WorkQueue } from './work-queue.ts';

export interface ReconcileResult {
  /** Look again after this long, because time itself is what the key waits for. Absent: when something changes. */
  readonly requeueAfterMs?: number;
}

/**
 * Brings what `key` names closer to what it should be: reads caches, never the event that queued the key, and makes few writes.
 * - returns `{}`: nothing more to do until something changes.
 * - returns `requeueAfterMs`: look again then, or earlier if something changes.
 * - throws: tried again with growing delays. A Conflict is normal: the cache was behind.
 * - throws {@link TerminalError}: not tried again until something changes.
 */
export type Reconciler = (key: string, signal: AbortSignal) => Promise<ReconcileResult>;

/** Trying again cannot help: what is asked for is impossible. `cause` says why. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
  readonly code = 'RECONCILE_TERMINAL';
}

export interface ReconcilerRun {
  /** For logs. */
  readonly name: string;
  readonly reconciler: Reconciler;
  readonly queue: WorkQueue;
  /** Keys worked on at once. Default: 1. */
  readonly workers?: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Hands keys to `reconciler` until `signal` aborts; settles when the last pass has ended. The queue is closed then. */
export async function runReconciler({ workers = 1, ...run }: ReconcilerRun, signal: AbortSignal): Promise<void> {
  const log = run.log.child({ controller: run.name });
  await Promise.all(Array.from({ length: workers }, () => work({ ...run, log }, signal)));
  run.queue.close();
}

async function work(run: Omit<ReconcilerRun, 'workers'>, signal: AbortSignal): Promise<void> {
  for (;;) {
    const key = await run.queue.next(signal);
    if (key === undefined) return;
    try {
      await pass(key, run, signal);
    } finally {
      run.queue.done(key);
    }
  }
}

async function pass(key: string, { reconciler, queue, clock, log }: Omit<ReconcilerRun, 'workers'>, signal: AbortSignal): Promise<void> {
  const startedMs = clock.monotonicMs();
  try {
    const { requeueAfterMs } = await reconciler(key, signal);
    queue.forget(key);
    if (requeueAfterMs !== undefined) queue.addAfter(key, requeueAfterMs);
  } catch (error) {
    if (signal.aborted && isAbort(error, signal)) return;
    const fields = { key, error, durationMs: Math.round(clock.monotonicMs() - startedMs) };
    if (error instanceof TerminalError) {
      queue.forget(key);
      log.error('reconcile cannot succeed', fields);
      return;
    }
    // Changed or gone since the cache was read: normal, and settled by the next look.
    if (isConflict(error) || isNotFound(error)) log.debug('reconcile met a newer state, trying again', fields);
    else log.warn('reconcile failed, trying again', { ...fields, failures: queue.failuresOf(key) + 1 });
    queue.retry(key);
  }
}
