import {
  badRequest,
  type Decoded,
  DecodeError,
  decodeObject as decodeByKind,
  type Json,
  type JsonObject,
  type SchemaBook,
  StatusError,
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
  const { object, unknown } = decoded(call, body.value, book);
  const faults = strictFaults(body, unknown);
  if (faults.length > 0 && validation === 'Strict') throw badRequest(`${refusalOf(call)}: strict decoding error: ${faults.join(', ')}`);
  if (validation === 'Warn') for (const fault of faults) call.warn(fault);
  checkPlace(call, object);
  return object;
}

/**
 * The same of a configuration to apply. Nobody can own a field that no schema has, so unknown ones are refused whatever validation was asked for, in
 * the words and with the code that upstream has for it. @throws {StatusError}
 */
export function decodeApplied(call: RegistryCall, value: unknown, book: SchemaBook): JsonObject {
  const { object, unknown } = decoded(call, value, book);
  if (unknown.length > 0) {
    const { name = '', namespace = '' } = metaOf(object);
    const place = `${String(namespace)}/${String(name)}; ${apiVersionOf(call.kind)}, Kind=${call.kind.definition.kind}`;
    const [first = '', ...others] = unknown.map((path) => `.${path}: field not declared in schema`);
    const faults = others.length === 0 ? first : ['errors:', first, ...others].join('\n  ');
    const message = `failed to create typed patch object (${place}): ${faults}`;
    throw new StatusError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 });
  }
  checkPlace(call, object);
  return object;
}

function decoded(call: RegistryCall, value: unknown, book: SchemaBook): Decoded {
  const sent = identified(call, value);
  try {
    const result = decodeByKind(call.kind, sent, book);
    result.object.kind = call.kind.definition.kind;
    result.object.apiVersion = apiVersionOf(call.kind);
    metaOf(result.object);
    return result;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${refusalOf(call)}: ${error.message}`);
    throw error;
  }
}

function refusalOf({ kind: { definition, version } }: RegistryCall): string {
  return `${definition.kind} in version "${version.name}" cannot be handled as a ${definition.kind}`;
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
