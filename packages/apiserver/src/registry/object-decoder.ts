import { badRequest, type JsonObject, splitApiVersion } from '@dure/api';
import type { DecodedBody } from '../encoding/body.ts';
import { metaOf } from './object-meta.ts';
import { applyDefaults, prune } from './object-shape.ts';
import { apiVersionOf, type RegistryCall } from './scope.ts';
import type { FieldValidation } from './write-options.ts';

/**
 * A private, pruned and defaulted object of the call's version from what a client sent.
 * @throws {StatusError} BadRequest: no object, another kind, another namespace or name than the path's, or unknown fields under `Strict`.
 */
export function decodeObject(call: RegistryCall, body: DecodedBody, validation: FieldValidation): JsonObject {
  const { definition, version } = call.kind;
  const { value } = body;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest(`couldn't get version/kind; the body is not a JSON object`);
  }
  const object = value as JsonObject;
  const apiVersion = apiVersionOf(call.kind);
  const { apiVersion: sentVersion, kind: sentKind } = object;
  if ((sentVersion !== undefined && typeof sentVersion !== 'string') || (sentKind !== undefined && typeof sentKind !== 'string')) {
    throw badRequest(`couldn't get version/kind; apiVersion and kind must be strings`);
  }
  if ((sentKind ?? definition.kind) !== definition.kind || (sentVersion ?? apiVersion) !== apiVersion) {
    const { version: name } = splitApiVersion(sentVersion ?? apiVersion);
    throw badRequest(`${sentKind ?? definition.kind} in version "${name}" cannot be handled as a ${definition.kind}`);
  }
  object['kind'] = definition.kind;
  object['apiVersion'] = apiVersion;
  const { metadata } = object;
  if (metadata !== undefined && metadata !== null && (typeof metadata !== 'object' || Array.isArray(metadata))) {
    throw badRequest(
      `${definition.kind} in version "${version.name}" cannot be handled as a ${definition.kind}: metadata must be an object`,
    );
  }
  metaOf(object);

  const unknown = prune(call.kind, object).map((path) => `unknown field "${path}"`);
  const faults = [...body.duplicates.map((path) => `duplicate field "${path}"`), ...unknown];
  if (faults.length > 0 && validation === 'Strict') {
    throw badRequest(
      `${definition.kind} in version "${version.name}" cannot be handled as a ${definition.kind}: strict decoding error: ${faults.join(', ')}`,
    );
  }
  if (validation === 'Warn') for (const fault of faults) call.warn(fault);

  applyDefaults(call.kind, object);
  checkPlace(call, object);
  return object;
}

/** Name and namespace of body and path must agree; what the body leaves out comes from the path. */
function checkPlace(call: RegistryCall, object: JsonObject): void {
  const meta = metaOf(object);
  if (call.kind.definition.namespaced) {
    const { namespace } = meta;
    if (namespace === undefined || namespace === null || namespace === '') meta['namespace'] = call.namespace;
    else if (namespace !== call.namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  } else {
    // Upstream clears it silently for kinds of cluster scope.
    delete meta['namespace'];
  }
  if (call.name === '') return;
  const { name } = meta;
  if (name === undefined || name === null || name === '') meta['name'] = call.name;
  else if (name !== call.name)
    throw badRequest(`the name of the object (${String(name)}) does not match the name on the URL (${call.name})`);
}
