import {
  applyMergePatch,
  applyStrategicMerge,
  badRequest,
  type Json,
  type JsonObject,
  requestEntityTooLarge,
  type SchemaBook,
  type SchemaNode,
  StatusError,
  StrategicMergeError,
  toJsonText,
  unsupportedMediaType,
} from '@dure/api';
import { applyPatch, type Operation, Pointer } from 'rfc6902';
import { duplicateKeys, JsonTextError, parseJson } from '../encoding/json-text.ts';
import { parseMediaType } from '../encoding/media-type.ts';
import { parseYaml, repeatedYamlKey, YamlTextError } from '../encoding/yaml-text.ts';

/** A patch as it was sent. */
export type Patch =
  | { readonly kind: 'json'; readonly operations: readonly Operation[] }
  | { readonly kind: 'merge' | 'strategic'; readonly patch: JsonObject; readonly duplicates: readonly string[] }
  | { readonly kind: 'apply'; readonly object: JsonObject; readonly repeatedKey: string | undefined };

const ACCEPTED = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];
/** Upstream's bound. */
const OPERATIONS_MAX = 10_000;
const COPIED_BYTES_MAX = 3 * 1024 * 1024;
const OPERATION_NAMES: ReadonlySet<unknown> = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/** @param strategic Whether the kind has merge keys; custom kinds have none. @throws {StatusError} UnsupportedMediaType, BadRequest, RequestEntityTooLarge. */
export function parsePatch(contentType: string | undefined, bytes: Uint8Array, strategic: boolean): Patch {
  const accepted = strategic ? ACCEPTED : ACCEPTED.filter((type) => type !== 'application/strategic-merge-patch+json');
  const { type } = parseMediaType(contentType ?? '');
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted);
  const text = new TextDecoder().decode(bytes);
  try {
    switch (type) {
      case 'application/json-patch+json':
        return { kind: 'json', operations: parseOperations(parseJson(text)) };
      case 'application/apply-patch+yaml':
        return { kind: 'apply', object: objectOf(parseYaml(text)), repeatedKey: repeatedYamlKey(text) };
      default: {
        const patch = objectOf(parseJson(text));
        return { kind: type === 'application/merge-patch+json' ? 'merge' : 'strategic', patch, duplicates: duplicateKeys(text) };
      }
    }
  } catch (error) {
    if (error instanceof JsonTextError) throw badRequest(`error decoding patch: ${error.message}`);
    if (error instanceof YamlTextError) throw badRequest(`error decoding YAML: ${error.message}`);
    throw error;
  }
}

/**
 * `object` with the patch applied; `object` may be changed. Not for apply, which needs to know who owns what.
 * @throws {StatusError} BadRequest, Invalid.
 */
export function patched(patch: Exclude<Patch, { kind: 'apply' }>, object: JsonObject, schema: SchemaNode, book: SchemaBook): unknown {
  switch (patch.kind) {
    case 'json':
      return applyOperations(patch.operations, object);
    case 'merge':
      return applyMergePatch(object, patch.patch);
    case 'strategic':
      try {
        return applyStrategicMerge(object, patch.patch, schema, book);
      } catch (error) {
        if (error instanceof StrategicMergeError) throw badRequest(error.message);
        throw error;
      }
  }
}

/** `object`, which may be changed, with a JSON patch applied that came from elsewhere than a request. @throws {StatusError} BadRequest, Invalid. */
export function applyJsonPatch(patch: unknown, object: JsonObject): unknown {
  return applyOperations(parseOperations(patch), object);
}

function applyOperations(operations: readonly Operation[], object: JsonObject): unknown {
  const holder: JsonObject = { object: object as Json };
  let copiedBytes = 0;
  for (const operation of operations) {
    if (operation.op === 'copy') {
      // Copies of copies double: a short patch could make an object of any size.
      copiedBytes += toJsonText(Pointer.fromJSON(`/object${operation.from}`).get(holder) ?? null).length;
      if (copiedBytes > COPIED_BYTES_MAX) throw requestEntityTooLarge(`copies in a JSON patch may make at most ${COPIED_BYTES_MAX} bytes`);
    }
    const failure = failureOf(holder, operation);
    if (failure !== undefined) throw unprocessable(`the server rejected our request due to an error in our request: ${failure}`);
  }
  return holder.object;
}

/** Why `operation` does not apply; the library says some of it by throwing, such as a member added to a string. */
function failureOf(holder: JsonObject, operation: Operation): string | undefined {
  try {
    const [failure] = applyPatch(holder, [prefixed(operation)]);
    return failure?.message;
  } catch (error) {
    return (error as Error).message;
  }
}

function parseOperations(value: unknown): readonly Operation[] {
  if (!Array.isArray(value)) throw badRequest('error decoding patch: a JSON patch must be an array of operations');
  if (value.length > OPERATIONS_MAX)
    throw requestEntityTooLarge(`the allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${value.length}`);
  for (const operation of value as unknown[]) {
    const { op, path, from } = (operation ?? {}) as Partial<Record<'op' | 'path' | 'from', unknown>>;
    if (!OPERATION_NAMES.has(op) || !isPointer(path) || ((op === 'move' || op === 'copy') && !isPointer(from))) {
      throw badRequest(`error decoding patch: ${toJsonText(operation)} is no operation`);
    }
  }
  return value as readonly Operation[];
}

function isPointer(path: unknown): boolean {
  // A path through __proto__ would reach what all objects share.
  return typeof path === 'string' && (path === '' || path.startsWith('/')) && !/(^|\/)(__proto__|constructor|prototype)(\/|$)/.test(path);
}

/** The object as a member, so that an operation on the whole of it has something to replace. */
function prefixed(operation: Operation): Operation {
  const moved = { ...operation, path: `/object${operation.path}` };
  return ('from' in moved ? { ...moved, from: `/object${moved.from}` } : moved) as Operation;
}

function objectOf(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('error decoding patch: it must be an object');
  return value as JsonObject;
}

function unprocessable(message: string): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    reason: 'Invalid',
    message,
    details: {},
    code: 422,
  });
}
