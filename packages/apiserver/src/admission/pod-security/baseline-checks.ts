/** What `baseline` forbids: known ways out of a container. @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline */
import { type JsonObject, numberAt, objectAt, objectsAt, stringAt, stringsAt, trueAt, valueAt } from '@dure/api';
import {
  type Check,
  containersOf,
  distinct,
  type Finding,
  named,
  namesOf,
  type PodShape,
  plural,
  quotedList,
  securityOf,
  setters,
} from './finding.ts';

const APP_ARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

export const appArmorProfile: Check = (pod) => {
  const typeOf = (holder: JsonObject): string | undefined => {
    const profile = objectAt(securityOf(holder), 'appArmorProfile');
    return profile === undefined ? undefined : stringAt(profile, 'type');
  };
  const isBad = (type: string | undefined): type is string => type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
  const types = [pod.spec, ...containersOf(pod)].map(typeOf).filter(isBad);
  const annotations = Object.entries(annotationsOf(pod))
    .filter(
      ([key, value]) =>
        key.startsWith(APP_ARMOR_ANNOTATION) && value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'),
    )
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort();
  const bySetting = setters(
    isBad(typeOf(pod.spec)),
    namesOf(pod, (container) => isBad(typeOf(container))),
  );
  const who = [bySetting, annotations.length > 0 ? plural('annotation', annotations.length) : undefined].filter(
    (part) => part !== undefined,
  );
  if (who.length === 0) return undefined;
  const values = [...distinct(types), ...annotations];
  return {
    reason: plural('forbidden AppArmor profile', values.length),
    detail: `${who.join(' and ')} must not set AppArmor profile type to ${quotedList(values)}`,
  };
};

const CAPABILITIES: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

export const defaultCapabilities: Check = (pod) => {
  const forbidden = (container: JsonObject): readonly string[] =>
    stringsAt(securityOf(container), 'capabilities', 'add').filter((capability) => !CAPABILITIES.has(capability));
  const bad = namesOf(pod, (container) => forbidden(container).length > 0);
  if (bad.length === 0) return undefined;
  const capabilities = distinct(containersOf(pod).flatMap(forbidden));
  return {
    reason: 'non-default capabilities',
    detail: `${named('container', bad)} must not include ${quotedList(capabilities)} in securityContext.capabilities.add`,
  };
};

export const hostNamespaces: Check = ({ spec }) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => trueAt(spec, field)).map((field) => `${field}=true`);
  return used.length === 0 ? undefined : { reason: 'host namespaces', detail: used.join(', ') };
};

export const hostPathVolumes: Check = ({ spec }) => {
  const bad = objectsAt(spec, 'volumes')
    .filter(({ hostPath }) => hostPath !== undefined)
    .map((volume) => stringAt(volume, 'name'));
  return bad.length === 0 ? undefined : { reason: 'hostPath volumes', detail: named('volume', bad) };
};

export const hostPorts: Check = (pod) => {
  const portsOf = (container: JsonObject): readonly string[] =>
    objectsAt(container, 'ports')
      .map((port) => numberAt(port, 'hostPort') ?? 0)
      .filter((port) => port !== 0)
      .map(String);
  const bad = namesOf(pod, (container) => portsOf(container).length > 0);
  if (bad.length === 0) return undefined;
  const ports = distinct(containersOf(pod).flatMap(portsOf));
  return { reason: 'hostPort', detail: `${named('container', bad)} ${uses(bad)} ${plural('hostPort', ports.length)} ${ports.join(', ')}` };
};

export const hostProbes: Check = (pod) => {
  const hostsOf = (container: JsonObject): readonly string[] =>
    [['livenessProbe'], ['readinessProbe'], ['startupProbe'], ['lifecycle', 'postStart'], ['lifecycle', 'preStop']]
      .flatMap((path) => ['httpGet', 'tcpSocket'].map((sort) => stringAt(container, ...path, sort, 'host')))
      .filter((host) => host !== '');
  const bad = distinct(namesOf(pod, (container) => hostsOf(container).length > 0));
  if (bad.length === 0) return undefined;
  const hosts = distinct(containersOf(pod).flatMap(hostsOf));
  return {
    reason: 'probe or lifecycle host',
    detail: `${named('container', bad)} ${uses(bad)} ${plural('probe or lifecycle host', hosts.length)} ${quotedList(hosts)}`,
  };
};

export const privileged: Check = (pod) => {
  const bad = namesOf(pod, (container) => trueAt(securityOf(container), 'privileged'));
  return bad.length === 0
    ? undefined
    : { reason: 'privileged', detail: `${named('container', bad)} must not set securityContext.privileged=true` };
};

export const procMount: Check = (pod) => {
  const typeOf = (container: JsonObject): string => stringAt(securityOf(container), 'procMount') || 'Default';
  const bad = namesOf(pod, (container) => typeOf(container) !== 'Default');
  if (bad.length === 0) return undefined;
  const types = distinct(containersOf(pod).map(typeOf)).filter((type) => type !== 'Default');
  return { reason: 'procMount', detail: `${named('container', bad)} must not set securityContext.procMount to ${quotedList(types)}` };
};

/** @param check Need not hold for a Pod with users of its own: root in it is nobody outside. */
export function unlessOwnUsers(check: Check): Check {
  return (pod) => (valueAt(pod.spec, 'hostUsers') === false ? undefined : check(pod));
}

/** @param types Beside none at all. */
export function seLinuxOptions(types: readonly string[]): Check {
  return (pod) => {
    const optionsOf = (holder: JsonObject): JsonObject => objectAt(securityOf(holder), 'seLinuxOptions') ?? {};
    const typeOf = (holder: JsonObject): string => stringAt(optionsOf(holder), 'type');
    const isBadType = (type: string): boolean => type !== '' && !types.includes(type);
    const sets = (holder: JsonObject, field: string): boolean => stringAt(optionsOf(holder), field) !== '';
    const isBad = (holder: JsonObject): boolean => isBadType(typeOf(holder)) || sets(holder, 'user') || sets(holder, 'role');
    const who = setters(isBad(pod.spec), namesOf(pod, isBad));
    if (who === undefined) return undefined;
    const holders = [pod.spec, ...containersOf(pod)];
    const badTypes = distinct(holders.map(typeOf).filter(isBadType));
    const what = [
      ...(badTypes.length > 0 ? [named('type', badTypes)] : []),
      ...['user', 'role'].filter((field) => holders.some((holder) => sets(holder, field))).map((field) => `${field} may not be set`),
    ];
    return { reason: 'seLinuxOptions', detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join('; ')}` };
  };
}

const SECCOMP_ANNOTATION = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER_ANNOTATION = 'container.seccomp.security.alpha.kubernetes.io/';

/** As profiles were asked for before there was a field. */
export const seccompAnnotations: Check = (pod) => {
  const annotations = annotationsOf(pod);
  const keys = [
    SECCOMP_ANNOTATION,
    ...containersOf(pod).map((container) => `${SECCOMP_CONTAINER_ANNOTATION}${stringAt(container, 'name')}`),
  ];
  const bad = distinct(
    keys.flatMap((key) => {
      const value = annotations[key];
      const isGood = value === undefined || value === 'runtime/default' || value === 'docker/default' || value.startsWith('localhost/');
      return isGood ? [] : [`${key}=${JSON.stringify(value)}`];
    }),
  );
  return bad.length === 0
    ? undefined
    : { reason: 'seccompProfile', detail: `forbidden ${plural('annotation', bad.length)} ${bad.join(', ')}` };
};

export const seccompProfile: Check = (pod) => {
  const typeOf = seccompTypeOf;
  const isBad = (holder: JsonObject): boolean => {
    const type = typeOf(holder);
    return type !== undefined && !isGoodSeccomp(type);
  };
  const who = setters(isBad(pod.spec), namesOf(pod, isBad));
  if (who === undefined) return undefined;
  const types = distinct([pod.spec, ...containersOf(pod)].filter(isBad).map((holder) => typeOf(holder) ?? ''));
  return { reason: 'seccompProfile', detail: `${who} must not set securityContext.seccompProfile.type to ${quotedList(types)}` };
};

export function seccompTypeOf(holder: JsonObject): string | undefined {
  const profile = objectAt(securityOf(holder), 'seccompProfile');
  return profile === undefined ? undefined : stringAt(profile, 'type');
}

export function isGoodSeccomp(type: string): boolean {
  return type === 'RuntimeDefault' || type === 'Localhost';
}

/** @param allowed Those that touch nobody but the Pod. */
export function sysctls(allowed: readonly string[]): Check {
  return ({ spec }): Finding | undefined => {
    const bad = objectsAt(spec, 'securityContext', 'sysctls')
      .map((sysctl) => stringAt(sysctl, 'name'))
      .filter((name) => !allowed.includes(name));
    return bad.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: bad.join(', ') };
  };
}

export const windowsHostProcess: Check = (pod) => {
  const isBad = (holder: JsonObject): boolean => trueAt(securityOf(holder), 'windowsOptions', 'hostProcess');
  const who = setters(isBad(pod.spec), namesOf(pod, isBad));
  return who === undefined
    ? undefined
    : { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` };
};

function annotationsOf({ metadata }: PodShape): Readonly<Record<string, string>> {
  return (objectAt(metadata, 'annotations') ?? {}) as Readonly<Record<string, string>>;
}

function uses(containers: readonly string[]): string {
  return containers.length === 1 ? 'uses' : 'use';
}
