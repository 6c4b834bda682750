import {
  badRequest,
  type Decoded,
  DecodeError,
  decodeObject as decodeByKind,
  type Json,
  type JsonObject,
  type SchemaBook,
  splitApiVersion,
} from '@dure/api';
import type { DecodedBody } from '../encoding/body.ts';
import { metaOf } from './object-meta.ts';
import { apiVersionOf, type RegistryCall } from './scope.ts';
import type { FieldValidation } from './write-options.ts';

/**
 * A private, pruned and defaulted object of the call's version from what a client sent.
 * @throws {StatusError} BadRequest: no object, another kind, another namespace or name than the path's, or unknown fields under `Strict`.
 */
export function decodeObject(call: RegistryCall, body: DecodedBody, validation: FieldValidation, book: SchemaBook): JsonObject {
  const { definition, version } = call.kind;
  const refused = `${definition.kind} in version "${version.name}" cannot be handled as a ${definition.kind}`;
  const sent = identified(call, body.value);
  let decoded: Decoded;
  try {
    decoded = decodeByKind(call.kind, sent, book);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${refused}: ${error.message}`);
    throw error;
  }
  const { object, unknown } = decoded;
  object.kind = definition.kind;
  object.apiVersion = apiVersionOf(call.kind);
  metaOf(object);

  const faults = strictFaults(body, unknown);
  if (faults.length > 0 && validation === 'Strict') throw badRequest(`${refused}: strict decoding error: ${faults.join(', ')}`);
  if (validation === 'Warn') for (const fault of faults) call.warn(fault);

  checkPlace(call, object);
  return object;
}

/** What a strict reader takes offence at, in upstream's words and in the order of the document; a key that stands twice counts where it first stands. */
function strictFaults(body: DecodedBody, unknown: readonly string[]): readonly string[] {
  const repeated = body.repeatedKey === undefined ? [] : [body.repeatedKey];
  const faults = [
    ...body.duplicates.map((path) => ({ path, text: `duplicate field "${path}"` })),
    ...unknown.map((path) => ({ path, text: `unknown field "${path}"` })),
  ];
  if (body.duplicates.length > 0 && unknown.length > 0) {
    const order = [...pathsOf(body.value as Json, '')];
    faults.sort((a, b) => order.indexOf(a.path) - order.indexOf(b.path));
  }
  return [...repeated, ...faults.map(({ text }) => text)];
}

function* pathsOf(value: Json, path: string): Generator<string> {
  if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* pathsOf(item, `${path}[${index}]`);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const at = path === '' ? key : `${path}.${key}`;
      yield at;
      yield* pathsOf(item, at);
    }
  }
}

/** The body as an object of the call's kind. @throws {StatusError} BadRequest. */
function identified(call: RegistryCall, value: unknown): JsonObject {
  const { definition } = call.kind;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest(`couldn't get version/kind; the body is not a JSON object`);
  }
  const object = value as JsonObject;
  const apiVersion = apiVersionOf(call.kind);
  const { apiVersion: sentVersion = '', kind: sentKind = '' } = object;
  if (typeof sentVersion !== 'string' || typeof sentKind !== 'string') {
    throw badRequest(`couldn't get version/kind; apiVersion and kind must be strings`);
  }
  if ((sentKind !== '' && sentKind !== definition.kind) || (sentVersion !== '' && sentVersion !== apiVersion)) {
    const { version } = splitApiVersion(sentVersion === '' ? apiVersion : sentVersion);
    throw badRequest(`${sentKind === '' ? definition.kind : sentKind} in version "${version}" cannot be handled as a ${definition.kind}`);
  }
  return object;
}

/** Name and namespace of body and path must agree; what the body leaves out comes from the path. */
function checkPlace(call: RegistryCall, object: JsonObject): void {
  const meta = metaOf(object);
  if (call.kind.definition.namespaced) {
    const { namespace } = meta;
    if (namespace === undefined || namespace === '') meta.namespace = call.namespace;
    else if (namespace !== call.namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    }
  } else {
    // Upstream clears it silently for kinds of cluster scope.
    delete meta.namespace;
  }
  if (call.name === '') return;
  const { name } = meta;
  if (name === undefined || name === '') meta.name = call.name;
  else if (name !== call.name)
    throw badRequest(`the name of the object (${String(name)}) does not match the name on the URL (${call.name})`);
}
