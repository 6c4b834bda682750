/** All faults of an object on its way into the store: metadata, a custom kind's schema, and the kind's own rules. */
import type { JsonObject } from '../definition.ts';
import type { FieldError } from '../field-error.ts';
import { objectAt } from '../json-value.ts';
import type { ServedKind } from '../kind-registry.ts';
import { validateObjectMeta, validateObjectMetaUpdate } from '../object-meta-validation.ts';
import { builtinSchemas } from '../schema/builtin-book.ts';
import { validateRequired } from '../schema/required-fields.ts';
import { validateStructural } from '../schema/structural-validation.ts';

/** Faults of a new object, after `prepareForCreate` and name generation. In the storage version. */
export function validateNewObject({ definition, version }: ServedKind, object: JsonObject): FieldError[] {
  const { strategy, namespaced } = definition;
  return [
    ...validateObjectMeta(objectAt(object, 'metadata') ?? {}, namespaced, strategy.checkName),
    ...schemaFaults(version, object),
    ...ownFaults({ definition, version }, object),
  ];
}

/** Faults of a changed object, after `prepareForUpdate`. */
export function validateChangedObject({ definition, version }: ServedKind, object: JsonObject, old: JsonObject): FieldError[] {
  const { strategy } = definition;
  return [
    ...validateObjectMetaUpdate(objectAt(object, 'metadata') ?? {}, objectAt(old, 'metadata') ?? {}),
    ...schemaFaults(version, object, old),
    ...ownFaults({ definition, version }, object, old),
    ...(strategy.validateUpdate?.(object, old) ?? []),
  ];
}

/** Faults of an object changed through /status, after `prepareForStatusUpdate`. */
export function validateChangedStatus({ definition, version }: ServedKind, object: JsonObject, old: JsonObject): FieldError[] {
  return [
    ...validateObjectMetaUpdate(objectAt(object, 'metadata') ?? {}, objectAt(old, 'metadata') ?? {}),
    ...schemaFaults(version, object, old),
    ...(definition.strategy.validateStatusUpdate?.(object, old) ?? []),
  ];
}

/** What a custom kind's schema finds wrong, and its rules where it has any. */
function schemaFaults(version: ServedKind['version'], object: JsonObject, old?: JsonObject): FieldError[] {
  if (version.check !== undefined) return version.check(object, old);
  return version.structural === true ? validateStructural(object, version.schema, old) : [];
}

/** A built-in kind without rules of its own at least has what its schema requires. */
function ownFaults({ definition, version }: ServedKind, object: JsonObject, old?: JsonObject): FieldError[] {
  if (definition.strategy.validate !== undefined) return definition.strategy.validate(object, old);
  return version.structural === true ? [] : validateRequired(object, version.schema, builtinSchemas);
}
