import { type CertificateSigningRequest, certificateSigningRequests, isNotFound } from '@dure/api';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';

const HOUR_MS = 3_600_000;
const DECIDED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

/** When a request has been of no more use long enough to be removed; a wall time in milliseconds since 1970. Pure. */
export function cleaningTimeMs({ metadata, status }: CertificateSigningRequest): number {
  const decided = (status?.conditions ?? []).flatMap(({ lastUpdateTime }) =>
    lastUpdateTime === undefined ? [] : [Date.parse(lastUpdateTime)],
  );
  return decided.length > 0 ? Math.max(...decided) + DECIDED_MS : Date.parse(metadata.creationTimestamp) + PENDING_MS;
}

/** Removes requests that were decided an hour ago, or that nobody decided for a day. */
export const csrCleaner: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const cache = informers.informer<CertificateSigningRequest>(certificateSigningRequests);
  const queue = new WorkQueue({ clock });
  cache.addHandler({ add: ({ metadata }) => queue.add(metadata.name), update: ({ metadata }) => queue.add(metadata.name) });
  const reconciler: Reconciler = async (name, signal) => {
    const request = cache.get(name);
    if (request === undefined) return {};
    const waitMs = cleaningTimeMs(request) - clock.now();
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    await client
      .delete(certificateSigningRequests, { name }, { preconditions: { uid: request.metadata.uid } }, signal)
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    return {};
  };
  return reconcilingController({ name: 'csr-cleaner', context, queue, reconciler, caches: [cache], workers: 1 });
};
