import { type JsonObject, joinApiVersion, type KubeObject, type ServedKind } from '@dure/api';

/** A private copy of `object`. */
export function cloneObject(object: JsonObject | KubeObject): JsonObject {
  return structuredClone(object) as unknown as JsonObject;
}

/**
 * A stored object in the version of `kind`. Gives `object` itself back where both versions are the same, so do not change it.
 * Custom objects are completed by today's schema besides: what it dropped goes, what it defaults now comes.
 */
export function fromStorage(kind: ServedKind, object: JsonObject): JsonObject {
  const { definition, version } = kind;
  const apiVersion = joinApiVersion(definition.group, version.name);
  const completed = version.complete?.(object) ?? object;
  if (completed.apiVersion === apiVersion) return completed;
  const converted = version.fromStorage === undefined ? completed : version.fromStorage(cloneObject(completed));
  return { ...converted, apiVersion };
}

/** An object of `kind`'s version as it is stored. Gives `object` itself back where both versions are the same. */
export function toStorage(kind: ServedKind, object: JsonObject): JsonObject {
  const { definition, version } = kind;
  const apiVersion = joinApiVersion((definition.storedAs ?? definition).group, definition.storageVersion);
  if (object.apiVersion === apiVersion) return object;
  const converted = version.toStorage === undefined ? object : version.toStorage(cloneObject(object));
  return { ...converted, apiVersion };
}
