/** From a request's decoded body to an object of its kind: schema, defaults and the kind's own defaults, in one step. */
import type { JsonObject, SchemaBook } from '../definition.ts';
import type { ServedKind } from '../kind-registry.ts';
import { type Decoded, decodeBySchema } from '../schema/decode.ts';
import { decodeStructural } from '../schema/structural.ts';

/**
 * Decodes `value` as `kind`. Built-in kinds: wrong types throw, nulls are absent. Custom kinds: pruned and defaulted, and wrong
 * types are left for validation.
 * @throws {DecodeError} The value is no such object.
 */
export function decodeObject({ definition, version }: ServedKind, value: unknown, book: SchemaBook): Decoded {
  const decoded = version.structural === true ? decodeStructural(value, version.schema) : decodeBySchema(value, version.schema, book);
  applyKindDefaults(definition.strategy.defaults, version, decoded.object);
  return decoded;
}

function applyKindDefaults(
  defaults: ((object: JsonObject) => void) | undefined,
  { toStorage }: ServedKind['version'],
  object: JsonObject,
): void {
  // A strategy speaks of the storage version; what other versions default travels through conversion.
  if (toStorage === undefined) defaults?.(object);
}
