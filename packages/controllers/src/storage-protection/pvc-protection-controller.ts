import { type PersistentVolumeClaim, type Pod, persistentVolumeClaims, pods } from '@dure/api';
import type { ControllerFactory } from '../controller.ts';
import { protectionController } from './protection-controller.ts';

/** Keeps a claim until no Pod that has a node uses it: the node may have its volume mounted. */
export const pvcProtectionController: ControllerFactory = (context) => {
  const { client, informers } = context;
  const podCache = informers.informer<Pod>(pods);
  podCache.addIndex('claims', claimsOf);
  const { controller, recheck } = protectionController<PersistentVolumeClaim>(context, {
    name: 'persistentvolumeclaim-protection',
    ref: persistentVolumeClaims,
    finalizer: 'kubernetes.io/pvc-protection',
    caches: [podCache],
    async isUsed({ metadata: { name, namespace = '' } }, signal) {
      const key = `${namespace}/${name}`;
      if (podCache.byIndex('claims', key).length > 0) return true;
      const { items } = await client.list<Pod>(pods, { namespace }, signal);
      return items.some((pod) => claimsOf(pod).includes(key));
    },
  });
  podCache.addHandler({
    update(pod, old) {
      if (pod.metadata.uid !== old.metadata.uid) for (const key of claimsOf(old)) recheck(key);
    },
    delete(pod) {
      for (const key of claimsOf(pod)) recheck(key);
    },
  });
  return controller;
};

/** Keys of the claims that a Pod on a node uses, those made for it among them. */
function claimsOf({ metadata, spec }: Pod): readonly string[] {
  if ((spec.nodeName ?? '') === '') return [];
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claim = persistentVolumeClaim?.claimName ?? (ephemeral === undefined ? undefined : `${metadata.name}-${name}`);
    return claim === undefined ? [] : [`${metadata.namespace}/${claim}`];
  });
}
