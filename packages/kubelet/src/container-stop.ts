import type { Pod } from '@dure/api';
import { isAbort, messageOf } from '@dure/foundation';
import { runHook } from './lifecycle-hook.ts';
import type { PodDeps } from './pod-deps.ts';
import type { NamedContainer } from './pod-identity.ts';

export interface StopInput {
  readonly pod: Pod;
  readonly container: NamedContainer;
  readonly containerId: string;
  readonly graceMs: number;
  readonly podIP: string;
  /** The Killing event's message. */
  readonly message: string;
}

/** A program gets at least this long after its preStop hook used the time up. */
const GRACE_AFTER_HOOK_MS = 2_000;

/** preStop hook, stop signal, and after the grace period the kill. Resolves when nothing of it runs. `hurry` cuts the hook short. */
export async function stopContainer(deps: PodDeps, input: StopInput, hurry: AbortSignal): Promise<void> {
  const { runtime, clock, events, log } = deps;
  const { pod, container, containerId, graceMs, podIP, message } = input;
  events.record(pod, container, 'Normal', 'Killing', message);
  const beganMs = clock.monotonicMs();
  const handler = container.spec.lifecycle?.preStop;
  if (handler !== undefined && graceMs > 0) {
    const done = new AbortController();
    const limit = AbortSignal.any([hurry, done.signal]);
    const hook = runHook(handler, { container: container.spec, containerId, podIP }, runtime, clock, limit).catch((error: unknown) => {
      if (isAbort(error, limit)) return;
      events.record(pod, container, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${messageOf(error)}`);
    });
    // The hook's time counts against the grace period.
    await Promise.race([hook, clock.sleep(graceMs, limit).catch(() => undefined)]);
    done.abort();
  }
  const spentMs = clock.monotonicMs() - beganMs;
  const remainingMs = graceMs === 0 || hurry.aborted ? 0 : Math.max(graceMs - spentMs, handler === undefined ? 0 : GRACE_AFTER_HOOK_MS);
  await runtime.stopContainer(containerId, remainingMs);
  log.debug('container stopped', { container: container.spec.name, containerId });
}
