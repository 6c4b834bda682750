import { type PersistentVolume, persistentVolumes } from '@dure/api';
import type { ControllerFactory } from '../controller.ts';
import { protectionController } from './protection-controller.ts';

/** Keeps a volume while it is bound to a claim. */
export const pvProtectionController: ControllerFactory = (context) =>
  protectionController<PersistentVolume>(context, {
    name: 'persistentvolume-protection',
    ref: persistentVolumes,
    finalizer: 'kubernetes.io/pv-protection',
    caches: [],
    // The volume itself says so: whatever changes it has it looked at again.
    isUsed: async ({ status }) => status?.phase === 'Bound',
  }).controller;
