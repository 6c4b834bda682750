import type { JsonObject } from '../definition.ts';
import { fromJsonText, toJsonText } from '../json-text.ts';
import { isJsonObject, objectAt } from '../json-value.ts';
import type { FieldSet } from './field-set.ts';
import { MissingKeyError, type TypedSchema } from './typed-value.ts';

/** The manager that `kubectl apply --server-side` calls itself: only from it may objects move over from applying on the client. */
export const MOVING_MANAGER = 'kubectl';

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';
/** Upstream's bound on all annotations of an object. */
const ANNOTATION_BYTES_MAX = 256 * 1024;

/**
 * What `kubectl apply` on the client last applied and still stands as it left it: the same person's wish, which applying on the server may change
 * without a conflict. `undefined` where the object was never applied so, or its annotation does not fit the kind.
 */
export function standingLastApplied(live: JsonObject, typed: TypedSchema): FieldSet | undefined {
  const text = annotationOf(live);
  if (text === undefined) return undefined;
  const applied = parsed(text);
  if (applied === undefined) return undefined;
  try {
    const fields = typed.fieldsOf(applied);
    return fields.difference(typed.modified(applied, live)).difference(fields.difference(typed.fieldsOf(live)));
  } catch (error) {
    if (error instanceof MissingKeyError) return undefined;
    throw error;
  }
}

/** `object` with the annotation, where it has one, saying what was applied now; so a later apply on the client starts from the truth. */
export function withLastApplied(object: JsonObject, applied: JsonObject): JsonObject {
  if (annotationOf(object) === undefined) return object;
  const metadata = objectAt(object, 'metadata') ?? {};
  const { [ANNOTATION]: _old, ...annotations } = objectAt(metadata, 'annotations') ?? {};
  const text = `${toJsonText(withoutBookkeeping(applied))}\n`;
  const kept = Buffer.byteLength(text) > ANNOTATION_BYTES_MAX ? annotations : { ...annotations, [ANNOTATION]: text };
  return { ...object, metadata: { ...metadata, annotations: kept } };
}

function annotationOf(object: JsonObject): string | undefined {
  const text = objectAt(objectAt(object, 'metadata') ?? {}, 'annotations')?.[ANNOTATION];
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = fromJsonText(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function withoutBookkeeping(applied: JsonObject): JsonObject {
  const { managedFields: _fields, annotations, ...metadata } = objectAt(applied, 'metadata') ?? {};
  const { [ANNOTATION]: _old, ...others } = isJsonObject(annotations) ? annotations : {};
  return { ...applied, metadata: { ...metadata, ...(isJsonObject(annotations) ? { annotations: others } : {}) } };
}
