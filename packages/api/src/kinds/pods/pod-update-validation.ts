/** What may change in a Pod that exists: little, since containers are started once from what the spec said. */

import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid } from '../../field-error.ts';
import { toJsonText } from '../../json-text.ts';
import {
  cloneJson,
  equalJson,
  integerAt,
  isJsonObject,
  numberAt,
  objectAt,
  objectsAt,
  own,
  semanticEqual,
  stringAt,
} from '../../json-value.ts';

const CHANGEABLE = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
];

/** Faults of a change through the main door. */
export function validatePodUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const oldSpec = objectAt(old, 'spec') ?? {};
  const counted = [...sameCount(spec, oldSpec, 'containers', 'containers'), ...sameCount(spec, oldSpec, 'initContainers', 'containers')];
  if (counted.length > 0) return counted;
  const errors = [
    ...validateImages(spec),
    ...validateDeadline(spec, oldSpec),
    ...validateTolerationsUpdate(spec, oldSpec),
    ...validateGatesUpdate(spec, oldSpec),
  ];
  const normalized = withoutChangeable(spec, oldSpec);
  if (!semanticEqual(normalized, oldSpec)) {
    const changed = changedPaths(normalized, oldSpec, 'spec').join('\n');
    errors.push(forbidden('spec', `pod updates may not change fields other than ${CHANGEABLE.join(',')}\n${changed}\n`));
  }
  return errors;
}

/** Faults of a change of ephemeral containers: they come, and stay as they came. */
export function validateEphemeralContainersUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const path = 'spec.ephemeralContainers';
  const now = new Map(objectsAt(pod, 'spec', 'ephemeralContainers').map((container) => [stringAt(container, 'name'), container]));
  return objectsAt(old, 'spec', 'ephemeralContainers').flatMap((container, index) => {
    const name = stringAt(container, 'name');
    const kept = now.get(name);
    if (kept === undefined) return [forbidden(path, `existing ephemeral containers "${name}" may not be removed\n`)];
    if (semanticEqual(kept, container)) return [];
    return [forbidden(`${path}[${index}]`, `existing ephemeral containers "${name}" may not be changed\n`)];
  });
}

/** Faults of a change of running containers' resources through /resize: only cpu and memory. */
export function validatePodResize(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const oldSpec = objectAt(old, 'spec') ?? {};
  const normalized = cloneJson(spec);
  for (const field of ['containers', 'initContainers']) {
    const before = objectsAt(oldSpec, field);
    for (const [index, container] of objectsAt(normalized, field).entries()) {
      const resources = objectAt(container, 'resources');
      const oldResources = objectAt(before[index] ?? {}, 'resources');
      for (const side of ['requests', 'limits']) {
        for (const name of ['cpu', 'memory']) keepEntry(resources, oldResources, side, name);
      }
      const policy = before[index] === undefined ? undefined : own(before[index], 'resizePolicy');
      if (policy === undefined) delete container.resizePolicy;
      else container.resizePolicy = cloneJson(policy);
    }
  }
  if (semanticEqual(normalized, oldSpec)) return [];
  return [forbidden('spec', 'only cpu and memory resources are mutable')];
}

function keepEntry(resources: JsonObject | undefined, old: JsonObject | undefined, side: string, name: string): void {
  const map = objectAt(resources, side);
  const value = own(objectAt(old, side), name);
  if (value === undefined) {
    if (map !== undefined) delete map[name];
  } else if (map !== undefined) map[name] = value;
  else if (resources !== undefined) resources[side] = { [name]: value };
}

function sameCount(spec: JsonObject, old: JsonObject, field: string, word: string): FieldError[] {
  if (objectsAt(spec, field).length === objectsAt(old, field).length) return [];
  return [forbidden(`spec.${field}`, `pod updates may not add or remove ${word}`)];
}

function validateImages(spec: JsonObject): FieldError[] {
  return ['containers', 'initContainers'].flatMap((field) =>
    objectsAt(spec, field).flatMap((container, index) =>
      stringAt(container, 'image') === ''
        ? [{ reason: 'FieldValueRequired' as const, field: `spec.${field}[${index}].image`, message: 'Required value' }]
        : [],
    ),
  );
}

function validateDeadline(spec: JsonObject, old: JsonObject): FieldError[] {
  const now = integerAt(spec, 'activeDeadlineSeconds');
  const before = integerAt(old, 'activeDeadlineSeconds');
  const path = 'spec.activeDeadlineSeconds';
  if (before === undefined || now === before) return [];
  if (now === undefined) return [invalid(path, now, 'must not update from a positive integer to nil value')];
  return now > before ? [invalid(path, now, `must be less than or equal to previous value`)] : [];
}

/** Tolerations may be added, and how long one tolerates may change. */
function validateTolerationsUpdate(spec: JsonObject, old: JsonObject): FieldError[] {
  const now = objectsAt(spec, 'tolerations');
  const missing = objectsAt(old, 'tolerations').some((toleration) => !now.some((other) => sameToleration(toleration, other)));
  return missing ? [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')] : [];
}

function sameToleration(a: JsonObject, b: JsonObject): boolean {
  return ['key', 'operator', 'value', 'effect'].every((field) => stringAt(a, field) === stringAt(b, field));
}

function validateGatesUpdate(spec: JsonObject, old: JsonObject): FieldError[] {
  const before = objectsAt(old, 'schedulingGates').map((gate) => stringAt(gate, 'name'));
  const added = objectsAt(spec, 'schedulingGates')
    .map((gate) => stringAt(gate, 'name'))
    .filter((name) => !before.includes(name));
  return added.length === 0
    ? []
    : [forbidden('spec.schedulingGates', `only deletion is allowed, but found new scheduling gate '${added[0]}'`)];
}

/** The new spec with everything that may change put back as it was. */
function withoutChangeable(spec: JsonObject, old: JsonObject): JsonObject {
  const result = cloneJson(spec);
  for (const field of ['containers', 'initContainers']) {
    const before = objectsAt(old, field);
    for (const [index, container] of objectsAt(result, field).entries()) container.image = stringAt(before[index] ?? {}, 'image');
  }
  const kept = ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'];
  const grace = numberAt(old, 'terminationGracePeriodSeconds');
  if (grace !== undefined && grace < 0 && numberAt(spec, 'terminationGracePeriodSeconds') === 1) kept.push('terminationGracePeriodSeconds');
  // A Pod that no node was chosen for yet may still narrow where it goes.
  if (objectsAt(old, 'schedulingGates').length > 0) {
    if (narrowed(spec, old)) kept.push('nodeSelector', 'affinity');
  }
  for (const field of kept) {
    const value = own(old, field);
    if (value === undefined) delete result[field];
    else result[field] = value;
  }
  return result;
}

function narrowed(spec: JsonObject, old: JsonObject): boolean {
  const selector = objectAt(spec, 'nodeSelector') ?? {};
  const keepsSelector = Object.entries(objectAt(old, 'nodeSelector') ?? {}).every(([key, value]) => own(selector, key) === value);
  const before = objectAt(old, 'affinity', 'nodeAffinity');
  return keepsSelector && (before === undefined || equalJson(before, objectAt(spec, 'affinity', 'nodeAffinity')));
}

const CHANGES_SHOWN_MAX = 10;

function changedPaths(now: JsonObject, before: JsonObject, path: string): string[] {
  const changed: string[] = [];
  const walk = (a: unknown, b: unknown, at: string): void => {
    if (semanticEqual(a, b) || changed.length >= CHANGES_SHOWN_MAX) return;
    if (isJsonObject(a) && isJsonObject(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) walk(own(a, key), own(b, key), `${at}.${key}`);
    } else if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
      for (const [index, item] of a.entries()) walk(item, b[index], `${at}[${index}]`);
    } else {
      changed.push(`  ${at}: ${toJsonText(b) ?? 'absent'} -> ${toJsonText(a) ?? 'absent'}`);
    }
  };
  walk(now, before, path);
  return changed;
}
