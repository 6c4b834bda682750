import type { FieldError, JsonObject, ServedKind } from '@dure/api';

/** Removes what the schema does not know; gives the paths. */
export function prune(_kind: ServedKind, _object: JsonObject): readonly string[] {
  return [];
}
export function applyDefaults(kind: ServedKind, object: JsonObject): void {
  kind.definition.strategy.defaults?.(object);
}
export function validateShape(_kind: ServedKind, _object: JsonObject): readonly FieldError[] {
  return [];
}
