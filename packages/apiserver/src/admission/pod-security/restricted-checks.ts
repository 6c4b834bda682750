/** What `restricted` demands: as few rights as can be. @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
import { type JsonObject, numberAt, objectsAt, stringAt, stringsAt, valueAt } from '@dure/api';
import { isGoodSeccomp, seccompProfile, seccompTypeOf } from './baseline-checks.ts';
import { type Check, containersOf, distinct, named, namesOf, plural, quotedList, securityOf, setters } from './finding.ts';

export const allowPrivilegeEscalation: Check = (pod) => {
  const bad = namesOf(pod, (container) => valueAt(securityOf(container), 'allowPrivilegeEscalation') !== false);
  return bad.length === 0
    ? undefined
    : {
        reason: 'allowPrivilegeEscalation != false',
        detail: `${named('container', bad)} must set securityContext.allowPrivilegeEscalation=false`,
      };
};

export const fewestCapabilities: Check = (pod) => {
  const forbidden = (container: JsonObject): readonly string[] =>
    stringsAt(securityOf(container), 'capabilities', 'add').filter((capability) => capability !== 'NET_BIND_SERVICE');
  const keeping = namesOf(pod, (container) => !stringsAt(securityOf(container), 'capabilities', 'drop').includes('ALL'));
  const adding = namesOf(pod, (container) => forbidden(container).length > 0);
  const details = [
    ...(keeping.length > 0 ? [`${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding.length > 0
      ? [
          `${named('container', adding)} must not include ${quotedList(distinct(containersOf(pod).flatMap(forbidden)))} in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') };
};

const VOLUME_TYPES = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'projected', 'secret'];
const FORBIDDEN_VOLUME_TYPES = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'gitRepo',
  'nfs',
  'iscsi',
  'glusterfs',
  'rbd',
  'flexVolume',
  'cinder',
  'cephfs',
  'flocker',
  'fc',
  'azureFile',
  'vsphereVolume',
  'quobyte',
  'azureDisk',
  'photonPersistentDisk',
  'portworxVolume',
  'scaleIO',
  'storageos',
];

export const restrictedVolumes: Check = ({ spec }) => {
  const bad = objectsAt(spec, 'volumes').filter((volume) => VOLUME_TYPES.every((type) => volume[type] === undefined));
  if (bad.length === 0) return undefined;
  const types = distinct(bad.map((volume) => FORBIDDEN_VOLUME_TYPES.find((type) => volume[type] !== undefined) ?? 'unknown'));
  const names = bad.map((volume) => stringAt(volume, 'name'));
  return {
    reason: 'restricted volume types',
    detail: `${named('volume', names)} ${names.length === 1 ? 'uses' : 'use'} ${plural('restricted volume type', types.length)} ${quotedList(types)}`,
  };
};

export const runAsNonRoot: Check = (pod) => {
  const says = (holder: JsonObject): unknown => valueAt(securityOf(holder), 'runAsNonRoot');
  const reason = 'runAsNonRoot != true';
  const who = setters(
    says(pod.spec) === false,
    namesOf(pod, (container) => says(container) === false),
  );
  if (who !== undefined) return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  if (says(pod.spec) === true) return undefined;
  const silent = namesOf(pod, (container) => says(container) === undefined);
  return silent.length === 0
    ? undefined
    : { reason, detail: `pod or ${named('container', silent)} must set securityContext.runAsNonRoot=true` };
};

export const runAsUser: Check = (pod) => {
  const isRoot = (holder: JsonObject): boolean => numberAt(securityOf(holder), 'runAsUser') === 0;
  const who = setters(isRoot(pod.spec), namesOf(pod, isRoot));
  return who === undefined ? undefined : { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` };
};

export const ownSeccompProfile: Check = (pod) => {
  const bad = seccompProfile(pod);
  if (bad !== undefined) return bad;
  const podType = seccompTypeOf(pod.spec);
  if (podType !== undefined && isGoodSeccomp(podType)) return undefined;
  const silent = namesOf(pod, (container) => seccompTypeOf(container) === undefined);
  return silent.length === 0
    ? undefined
    : {
        reason: 'seccompProfile',
        detail: `pod or ${named('container', silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
      };
};

/** @param check Is about what only Linux has. */
export function unlessWindows(check: Check): Check {
  return (pod) => (stringAt(pod.spec, 'os', 'name') === 'windows' ? undefined : check(pod));
}
