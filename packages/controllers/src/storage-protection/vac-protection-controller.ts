import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type VolumeAttributesClass,
  volumeAttributesClasses,
} from '@dure/api';
import type { ControllerFactory } from '../controller.ts';
import { protectionController } from './protection-controller.ts';

/** Keeps a class of volume attributes while a volume has it, or a claim has or wants it. */
export const vacProtectionController: ControllerFactory = (context) => {
  const { informers } = context;
  const claims = informers.informer<PersistentVolumeClaim>(persistentVolumeClaims);
  const volumes = informers.informer<PersistentVolume>(persistentVolumes);
  claims.addIndex('classes', classesOfClaim);
  volumes.addIndex('classes', classesOfVolume);
  const { controller, recheck } = protectionController<VolumeAttributesClass>(context, {
    name: 'volumeattributesclass-protection',
    ref: volumeAttributesClasses,
    finalizer: 'kubernetes.io/vac-protection',
    caches: [claims, volumes],
    isUsed: async ({ metadata: { name } }) => claims.byIndex('classes', name).length + volumes.byIndex('classes', name).length > 0,
  });
  claims.addHandler({
    update: (_claim, old) => classesOfClaim(old).forEach(recheck),
    delete: (claim) => classesOfClaim(claim).forEach(recheck),
  });
  volumes.addHandler({
    update: (_volume, old) => classesOfVolume(old).forEach(recheck),
    delete: (volume) => classesOfVolume(volume).forEach(recheck),
  });
  return controller;
};

function classesOfClaim({ spec, status }: PersistentVolumeClaim): readonly string[] {
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))] as string[];
}

function classesOfVolume({ spec }: PersistentVolume): readonly string[] {
  const name = spec?.volumeAttributesClassName ?? '';
  return name === '' ? [] : [name];
}
