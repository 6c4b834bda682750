import { cloneJson, type JsonObject, joinApiVersion, type KubeObject, type ServedKind } from '@dure/api';
import { apiVersionOf, storageVersionOf } from './scope.ts';
import { deepFreeze } from './stored-object.ts';

/** A private copy of `object`. */
export function cloneObject(object: JsonObject | KubeObject): JsonObject {
  // Knows that it is JSON, and so takes half of what structuredClone does.
  return cloneJson(object as unknown as JsonObject);
}

/**
 * A stored object in the version of `kind`. Gives `object` itself back where both versions are the same, so do not change it.
 * Custom objects may be stored in any of their versions, and are completed by today's schema besides: what it dropped goes, what it defaults now
 * comes. Where another process converts them, {@link convertAhead} must have been called.
 */
export function fromStorage(kind: ServedKind, object: JsonObject): JsonObject {
  const { version } = kind;
  const apiVersion = apiVersionOf(kind);
  if (version.converter !== undefined && object.apiVersion !== apiVersion) {
    const converted = version.converter.converted(object);
    if (converted === undefined) throw new Error(`read ${String(object.kind)} as ${apiVersion}: it was not converted ahead`);
    return version.complete?.(converted) ?? converted;
  }
  const completed = version.complete?.(object) ?? object;
  if (completed.apiVersion === apiVersion) return completed;
  const converted = version.fromStorage === undefined ? completed : version.fromStorage(cloneObject(completed));
  return { ...converted, apiVersion };
}

/**
 * Asks for everything that {@link fromStorage} will need of `objects`, which are frozen, in one go. Only for kinds with a converter: callers check, so
 * that all others pay nothing. @throws {StatusError} They cannot be converted.
 */
export async function convertAhead(kind: ServedKind, objects: Iterable<KubeObject>, signal: AbortSignal): Promise<void> {
  await kind.version.converter?.convert([...objects] as unknown as JsonObject[], signal);
}

/** {@link fromStorage} for one object, in whatever version of a custom kind, asking whoever must be asked. @throws {StatusError} It cannot be converted. */
export async function readStored(kind: ServedKind, object: JsonObject, signal?: AbortSignal): Promise<JsonObject> {
  const { converter, complete } = kind.version;
  if (converter === undefined) return fromStorage(kind, object);
  const [converted = object] = await converter.convert([object], signal);
  return complete?.(converted) ?? converted;
}

/**
 * A decoded object of `kind`'s version in the version in which the server works on it: the storage version of built-in kinds, whose rules know that one;
 * its own of custom kinds, since each of their versions brings its own rules. Gives `object` itself back where that is the same.
 */
export function toWorking(kind: ServedKind, object: JsonObject): JsonObject {
  const { definition, version } = kind;
  const apiVersion = joinApiVersion((definition.storedAs ?? definition).group, definition.storageVersion);
  if (version.structural === true || object.apiVersion === apiVersion) return object;
  const converted = version.toStorage === undefined ? object : version.toStorage(cloneObject(object));
  return { ...converted, apiVersion };
}

/** A stored object in the version in which the server works on it; frozen. */
export async function workingOf(kind: ServedKind, object: KubeObject, signal: AbortSignal): Promise<KubeObject> {
  if (kind.version.structural !== true) return object;
  return deepFreeze(await readStored(kind, object as unknown as JsonObject, signal)) as unknown as KubeObject;
}

/** An object in the version in which the server works on it as it is stored. Gives `object` itself back where that is the same. */
export async function toStored(kind: ServedKind, object: JsonObject, signal: AbortSignal): Promise<JsonObject> {
  const { definition, version } = kind;
  if (version.structural !== true) return object;
  const apiVersion = joinApiVersion(definition.group, definition.storageVersion);
  if (object.apiVersion === apiVersion) return object;
  const { converter } = storageVersionOf(definition);
  if (converter === undefined) return { ...object, apiVersion };
  const [converted = object] = await converter.convert([object], signal);
  return converted;
}
