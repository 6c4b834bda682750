import { type Backoff, type Clock, type Logger, messageOf, type Random, retryDelayMs } from '@dure/foundation';
import { RegistryFault } from './registry-fault.ts';

/** How often and how patiently one thing is asked of a registry. */
export interface RetryPolicy {
  /** Tries in all without progress, >= 1. */
  readonly triesMax: number;
  readonly backoff: Backoff;
  /** The longest wait that a registry's Retry-After is granted. */
  readonly retryAfterMaxMs: number;
}

export interface RetryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly policy: RetryPolicy;
}

/**
 * Runs `attempt` again after temporary faults. `attempt` may call `progressed()` when a try got somewhere before it failed, which makes the
 * count begin anew.
 * @throws what the last try threw.
 */
export async function retrying<T>(attempt: (progressed: () => void) => Promise<T>, deps: RetryDeps, signal: AbortSignal): Promise<T> {
  const { clock, random, log, policy } = deps;
  for (let failures = 0; ; ) {
    try {
      return await attempt(() => {
        failures = 0;
      });
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      if (!(error instanceof RegistryFault) || !error.isTemporary || failures >= policy.triesMax) throw error;
      const waitMs = retryDelayMs(failures, policy.backoff) * (0.5 + random.next());
      const delayMs = Math.max(waitMs, Math.min(error.retryAfterMs ?? 0, policy.retryAfterMaxMs));
      log.debug('registry exchange failed, will be tried again', { failures, delayMs, reason: messageOf(error) });
      await clock.sleep(delayMs, signal);
    }
  }
}
