import type { JsonObject } from '@dure/api';

/** `metadata` of a decoded object, made where it is missing. */
export function metaOf(object: JsonObject): JsonObject {
  const metadata = object.metadata;
  if (typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)) return metadata;
  const made: JsonObject = {};
  object.metadata = made;
  return made;
}

/** A string of the metadata; '' where it is absent or no string. */
export function metaText(object: JsonObject, field: string): string {
  const value = metaOf(object)[field];
  return typeof value === 'string' ? value : '';
}

export function finalizersOf(object: JsonObject): readonly string[] {
  const value = metaOf(object).finalizers;
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** A member that must be an object; an empty one where it is absent. */
export function section(object: JsonObject, field: string): JsonObject {
  const value = object[field];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

/** Sets `field`, or removes it where `value` is `undefined`. */
export function setOrRemove(object: JsonObject, field: string, value: JsonObject[string] | undefined): void {
  if (value === undefined) delete object[field];
  else object[field] = value;
}

/** The value at a dotted path (`spec.replicas`), or `undefined`. A leading dot is allowed, as CRDs write it. */
export function valueAt(object: JsonObject, path: string): JsonObject[string] | undefined {
  let value: JsonObject[string] | undefined = object;
  for (const part of path.replace(/^\./, '').split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = value[part];
  }
  return value;
}

/** Sets the value at a dotted path, making the objects on the way. */
export function setAt(object: JsonObject, path: string, value: JsonObject[string]): void {
  const parts = path.replace(/^\./, '').split('.');
  const last = parts.pop() ?? '';
  let target = object;
  for (const part of parts) {
    const next = section(target, part);
    target[part] = next;
    target = next;
  }
  target[last] = value;
}
