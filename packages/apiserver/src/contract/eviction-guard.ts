import type { KubeObject } from '@dure/api';

/** Judges whether PodDisruptionBudgets let a Pod go. */
export interface EvictionGuard {
  /** Counts the disruption when it allows it. @throws {StatusError} TooManyRequests, with the budget as cause. */
  allow(pod: KubeObject, dryRun: boolean, signal: AbortSignal): Promise<void>;
}
