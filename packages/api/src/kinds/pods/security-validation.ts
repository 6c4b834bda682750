/** Security contexts of Pods and containers. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, invalid, notSupported, required } from '../../field-error.ts';
import { integerAt, isNumeric, listAt, objectAt, objectsAt, own, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { checkRange } from '../../name-syntax.ts';
import { oneOf } from '../rules.ts';

const ID_MAX = 2 ** 31 - 1;
const SECCOMP_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];
const SYSCTL = /^[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*$/;
const SYSCTL_LENGTH_MAX = 253;

/** Faults of a Pod's `securityContext`, and of what it says about the host's namespaces. */
export function validatePodSecurity(spec: JsonObject, path: string): FieldError[] {
  const context = objectAt(spec, 'securityContext') ?? {};
  const at = `${path}.securityContext`;
  const errors = ['runAsUser', 'runAsGroup', 'fsGroup'].flatMap((field) => validateId(context, field, at));
  for (const [index, group] of listAt(context, 'supplementalGroups').entries()) {
    errors.push(...idFaults(group, `${at}.supplementalGroups[${index}]`));
  }
  errors.push(...oneOf(context, 'fsGroupChangePolicy', at, ['Always', 'OnRootMismatch']));
  errors.push(...oneOf(context, 'supplementalGroupsPolicy', at, ['Merge', 'Strict']));
  errors.push(...validateProfiles(context, at), ...validateSysctls(context, at));
  if (trueAt(spec, 'shareProcessNamespace') && trueAt(spec, 'hostPID')) {
    errors.push(invalid(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'));
  }
  if (own(spec, 'hostUsers') === false) {
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) {
      if (trueAt(spec, field)) {
        errors.push({ reason: 'FieldValueForbidden', field: `${path}.${field}`, message: 'Forbidden: when `hostUsers` is false' });
      }
    }
  }
  return errors;
}

/** Faults of a container's `securityContext`. */
export function validateContainerSecurity(container: JsonObject, path: string): FieldError[] {
  const context = objectAt(container, 'securityContext');
  if (context === undefined) return [];
  const at = `${path}.securityContext`;
  const errors = ['runAsUser', 'runAsGroup'].flatMap((field) => validateId(context, field, at));
  const mount = stringAt(context, 'procMount');
  if (mount !== '' && mount !== 'Default' && mount !== 'Unmasked') {
    errors.push(notSupported(`${at}.procMount`, mount, ['Default', 'Unmasked']));
  }
  errors.push(...validateProfiles(context, at));
  if (own(context, 'allowPrivilegeEscalation') === false) {
    if (trueAt(context, 'privileged')) {
      errors.push(invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    }
    if (stringsAt(context, 'capabilities', 'add').some((name) => name === 'CAP_SYS_ADMIN' || name === 'SYS_ADMIN')) {
      errors.push(invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'));
    }
  }
  return errors;
}

function validateProfiles(context: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, label] of [
    ['seccompProfile', 'seccomp'],
    ['appArmorProfile', 'AppArmor'],
  ] as const) {
    const profile = objectAt(context, field);
    if (profile === undefined) continue;
    const at = `${path}.${field}`;
    const type = stringAt(profile, 'type');
    const local = own(profile, 'localhostProfile');
    if (type === '') errors.push(required(`${at}.type`, field === 'seccompProfile' ? 'type is required when seccompProfile is set' : ''));
    else if (!SECCOMP_TYPES.includes(type)) errors.push(notSupported(`${at}.type`, type, SECCOMP_TYPES));
    else if (type === 'Localhost' && (local === undefined || local === '')) {
      errors.push(required(`${at}.localhostProfile`, `must be set when ${label} type is Localhost`));
    } else if (type !== 'Localhost' && local !== undefined) {
      errors.push(invalid(`${at}.localhostProfile`, local, `can only be set when ${label} type is Localhost`));
    }
    if (typeof local === 'string' && field === 'seccompProfile') {
      if (local.startsWith('/')) errors.push(invalid(`${at}.localhostProfile`, local, 'must be a relative path'));
      else if (local.split('/').includes('..')) errors.push(invalid(`${at}.localhostProfile`, local, "must not contain '..'"));
    }
  }
  return errors;
}

function validateSysctls(context: JsonObject, path: string): FieldError[] {
  const names = new Set<string>();
  return objectsAt(context, 'sysctls').flatMap((sysctl, index) => {
    const at = `${path}.sysctls[${index}].name`;
    const name = stringAt(sysctl, 'name');
    if (name === '') return [required(at)];
    if (name.length > SYSCTL_LENGTH_MAX || !SYSCTL.test(name)) {
      return [invalid(at, name, `must have at most ${SYSCTL_LENGTH_MAX} characters and match regex ${SYSCTL.source}`)];
    }
    const dotted = name.replaceAll('/', '.');
    if (names.has(dotted)) return [duplicate(at, name)];
    names.add(dotted);
    return [];
  });
}

function validateId(context: JsonObject, field: string, path: string): FieldError[] {
  const id = integerAt(context, field);
  return id === undefined ? [] : idFaults(id, `${path}.${field}`);
}

function idFaults(id: unknown, path: string): FieldError[] {
  return isNumeric(id) ? checkRange(id, 0, ID_MAX).map((fault) => invalid(path, id, fault)) : [];
}
