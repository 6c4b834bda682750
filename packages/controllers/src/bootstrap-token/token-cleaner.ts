import { isNotFound, type Secret, secrets } from '@dure/api';
import { parseKey } from '@dure/client';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';

const NAMESPACE = 'kube-system';
const TOKEN_TYPE = 'bootstrap.kubernetes.io/token';

/** When a bootstrap token ends; a wall time in milliseconds since 1970. `undefined`: never, or it is none. Pure. */
export function tokenExpiryMs({ type, data }: Secret): number | undefined {
  if (type !== TOKEN_TYPE || data?.expiration === undefined) return undefined;
  const time = Date.parse(Buffer.from(data.expiration, 'base64').toString('utf8'));
  // An end that cannot be read has been reached: better a machine that must ask again than a door left open.
  return Number.isNaN(time) ? 0 : time;
}

/** Removes bootstrap tokens that have expired. */
export const tokenCleaner: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const cache = informers.informer<Secret>(secrets, { namespace: NAMESPACE });
  const queue = new WorkQueue({ clock });
  const enqueue = ({ metadata }: Secret): void => queue.add(`${metadata.namespace}/${metadata.name}`);
  cache.addHandler({ add: enqueue, update: enqueue });
  const reconciler: Reconciler = async (key, signal) => {
    const secret = cache.get(key);
    const expiryMs = secret === undefined ? undefined : tokenExpiryMs(secret);
    if (secret === undefined || expiryMs === undefined) return {};
    const waitMs = expiryMs - clock.now();
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    await client.delete(secrets, parseKey(key), { preconditions: { uid: secret.metadata.uid } }, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    return {};
  };
  return reconcilingController({ name: 'token-cleaner', context, queue, reconciler, caches: [cache], workers: 1 });
};
