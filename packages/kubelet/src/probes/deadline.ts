import { type Clock, errnoCode } from '@dure/foundation';
import type { ProbeResult } from './probe-result.ts';

/** Runs `attempt` for at most `timeoutMs`; after that its signal aborts and the result is a failure with `late`. */
export async function withDeadline(
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
  late: string,
  attempt: (stop: AbortSignal) => Promise<ProbeResult>,
): Promise<ProbeResult> {
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  try {
    const deadline = clock.sleep(timeoutMs, stop).then((): ProbeResult => ({ outcome: 'failure', message: late }));
    // The loser rejects when `done` aborts; nobody waits for it any more.
    deadline.catch(() => undefined);
    return await Promise.race([attempt(stop), deadline]);
  } finally {
    done.abort();
  }
}

/** A failed connect in the words that people search for. */
export function dialFailure(error: unknown): string {
  switch (errnoCode(error)) {
    case 'ECONNREFUSED':
      return 'connect: connection refused';
    case 'EHOSTUNREACH':
      return 'connect: no route to host';
    case 'ENETUNREACH':
      return 'connect: network is unreachable';
    case 'ECONNRESET':
      return 'read: connection reset by peer';
    case 'ENOTFOUND':
      return 'lookup: no such host';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
