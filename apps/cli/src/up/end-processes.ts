import type { Clock } from '@dure/foundation';
import { isAlive, type ProcessIdentity } from './process-identity.ts';

const GRACE_MS = 20_000;
const POLL_MS = 20;

/** Asks processes that are not our children to end, kills what has not after 20 s, and waits until none is left. */
export async function endProcesses(processes: readonly ProcessIdentity[], clock: Clock): Promise<void> {
  const alive = (): readonly ProcessIdentity[] => processes.filter(isAlive);
  send(alive(), 'SIGTERM');
  const deadlineMs = clock.monotonicMs() + GRACE_MS;
  while (alive().length > 0 && clock.monotonicMs() < deadlineMs) await clock.sleep(POLL_MS);
  send(alive(), 'SIGKILL');
  while (alive().length > 0) await clock.sleep(POLL_MS);
}

function send(processes: readonly ProcessIdentity[], signal: NodeJS.Signals): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended between the look and the signal.
    }
  }
}
