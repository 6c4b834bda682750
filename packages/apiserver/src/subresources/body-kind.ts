import { badRequest, DecodeError, decodeBySchema, type JsonObject, type SchemaBook, type ServedKind } from '@dure/api';
import type { ResourceCall } from '../request/call.ts';
import type { ResourceRouter } from '../request/resource-handler.ts';

/** A kind that is only ever a body or an answer, as the presenter and decoder want it. */
export function transientKind(group: string, version: string, kind: string, schemaName: string): ServedKind {
  const kindVersion = { name: version, served: true, schema: { ref: schemaName }, columns: [] };
  return {
    definition: {
      group,
      kind,
      listKind: `${kind}List`,
      resource: `${kind.toLowerCase()}s`,
      singular: kind.toLowerCase(),
      shortNames: [],
      categories: [],
      namespaced: false,
      verbs: [],
      versions: [kindVersion],
      storageVersion: version,
      subresources: [],
      strategy: {},
    },
    version: kindVersion,
  };
}

/** The request's body, decoded as `kind`. @throws {StatusError} BadRequest: another kind, or not of its shape. */
export async function readBody(call: ResourceCall, router: ResourceRouter, kind: ServedKind, book: SchemaBook): Promise<JsonObject> {
  const { value } = await router.body(call);
  const { definition, version } = kind;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest(`the body must be a ${definition.kind} object`);
  const sent = value as JsonObject;
  const apiVersion = definition.group === '' ? version.name : `${definition.group}/${version.name}`;
  if ((sent.kind ?? definition.kind) !== definition.kind) {
    throw badRequest(`${String(sent.kind)} in version "${version.name}" cannot be handled as a ${definition.kind}`);
  }
  try {
    const { object } = decodeBySchema(sent, version.schema, book);
    return { ...object, kind: definition.kind, apiVersion };
  } catch (error) {
    if (error instanceof DecodeError)
      throw badRequest(`${definition.kind} in version "${version.name}" cannot be handled as a ${definition.kind}: ${error.message}`);
    throw error;
  }
}
