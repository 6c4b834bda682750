/** How long a failing container waits, as upstream's flowcontrol backoff does it. */
export interface CrashBackoff {
  readonly delayMs: number;
  /** When it was last raised: the end of the run that raised it. */
  readonly raisedAtMs: number;
}

export const CRASH_BACKOFF_BASE_MS = 10_000;
export const CRASH_BACKOFF_MAX_MS = 300_000;
/** A container that ran this long without a failure starts again at the base. */
const RESET_AFTER_MS = 2 * CRASH_BACKOFF_MAX_MS;

/** When the container may start again after a run that ended at `finishedAtMs`; in the past or `undefined`: at once. */
export function backoffEndsAtMs(backoff: CrashBackoff | undefined, finishedAtMs: number): number | undefined {
  if (backoff === undefined || expired(backoff, finishedAtMs)) return undefined;
  return finishedAtMs + backoff.delayMs;
}

/** The backoff to hold against the run after the one being started now. */
export function raiseBackoff(backoff: CrashBackoff | undefined, finishedAtMs: number): CrashBackoff {
  if (backoff === undefined || expired(backoff, finishedAtMs)) return { delayMs: CRASH_BACKOFF_BASE_MS, raisedAtMs: finishedAtMs };
  return { delayMs: Math.min(backoff.delayMs * 2, CRASH_BACKOFF_MAX_MS), raisedAtMs: finishedAtMs };
}

function expired(backoff: CrashBackoff, eventMs: number): boolean {
  return eventMs - backoff.raisedAtMs > RESET_AFTER_MS;
}
