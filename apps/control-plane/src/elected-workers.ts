import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { createClient, runLeaderElection } from '@dure/client';
import { uuid } from '@dure/foundation';
import { inProcess, runWorkers, type WorkersDeps } from './workers.ts';

const COMPONENT = 'dure-control-plane';
/** What control planes on one store compete for. */
export const WORKERS_LEASE = { namespace: 'kube-system', name: COMPONENT } as const;

/**
 * Runs scheduler and controllers while this process leads among those on the same store, until `signal` aborts; gives the lead up at the end, so that
 * another goes on at once. One Lease for all of them: what they share (informers) would otherwise be needed in every process.
 */
export function runElectedWorkers(deps: WorkersDeps, signal: AbortSignal): Promise<void> {
  const { server, clock, random, log } = deps;
  const client = createClient(server.transport(inProcess(`system:${COMPONENT}`), COMPONENT), { userAgent: COMPONENT });
  return runLeaderElection(
    { client, lease: WORKERS_LEASE, identity: `${hostname()}_${uuid(random)}`, clock, random, log: log.child({ component: 'election' }) },
    (leading) => {
      setMaxListeners(0, leading); // One for each informer and controller.
      return runWorkers(deps, leading);
    },
    signal,
  );
}
