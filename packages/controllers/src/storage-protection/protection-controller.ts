import { isConflict, isNotFound, type KubeObject, type ResourceRef } from '@dure/api';
import { type Informer, keyOf } from '@dure/client';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type Controller, type ControllerContext, reconcilingController } from '../controller.ts';

export interface Protection<T extends KubeObject> {
  readonly name: string;
  readonly ref: ResourceRef<T>;
  readonly finalizer: string;
  /** Caches that {@link isUsed} reads. */
  readonly caches: readonly Pick<Informer<KubeObject>, 'whenSynced'>[];
  /** Whether somebody uses the object. Asked by the caches first, and by the server itself before the object is let go. */
  isUsed(object: T, signal: AbortSignal): Promise<boolean>;
}

/**
 * Lets objects that are being deleted go once nobody uses them, by taking their finalizer away; gives it to those that were made without.
 * @returns The controller, and `recheck`, to be called with the key of an object that may have become free.
 */
export function protectionController<T extends KubeObject>(
  context: ControllerContext,
  { name, ref, finalizer, caches, isUsed }: Protection<T>,
): { readonly controller: Controller; recheck(key: string): void } {
  const { client, informers, clock } = context;
  const cache = informers.informer<T>(ref);
  const queue = new WorkQueue({ clock });
  const isProtected = ({ metadata }: T): boolean => metadata.finalizers?.includes(finalizer) === true;
  const enqueue = (object: T): void => {
    const isGoing = object.metadata.deletionTimestamp !== undefined;
    if (isProtected(object) === isGoing) queue.add(keyOf(object));
  };
  cache.addHandler({ add: enqueue, update: enqueue });

  const reconciler: Reconciler = async (key, signal) => {
    const object = cache.get(key);
    if (object === undefined) return {};
    const { finalizers = [] } = object.metadata;
    const isGoing = object.metadata.deletionTimestamp !== undefined;
    if (isProtected(object) !== isGoing) return {};
    if (isGoing && (await isUsed(object, signal))) return {};
    const next = isGoing ? finalizers.filter((one) => one !== finalizer) : [...finalizers, finalizer];
    try {
      await client.update<T>(ref, { ...object, metadata: { ...object.metadata, finalizers: next } }, {}, signal);
    } catch (error) {
      // Changed meanwhile: the cache tells, and then it is looked at again.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
    return {};
  };
  return {
    controller: reconcilingController({ name, context, queue, reconciler, caches: [cache, ...caches] }),
    recheck: (key) => queue.add(key),
  };
}
