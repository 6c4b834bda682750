import {
  ApplyConflictError,
  applyConflict,
  applyFields,
  badRequest,
  cloneJson,
  type Json,
  type JsonObject,
  MissingKeyError,
  type SchemaBook,
  type WriteContext,
} from '@dure/api';
import { cloneObject } from './conversion.ts';
import { untouchedParts } from './managed-fields.ts';
import { decodeApplied, decodeObject } from './object-decoder.ts';
import { metaOf } from './object-meta.ts';
import { apiVersionOf, type RegistryCall } from './scope.ts';
import { versionedWrites } from './versioned-write.ts';
import type { WriteOptions } from './write-options.ts';
import type { UpdateRequest } from './writer.ts';

/**
 * Server-side apply as a change of one object, which may have to be made first.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/ @throws {StatusError} BadRequest.
 */
export function applyRequest(
  call: RegistryCall,
  config: JsonObject,
  options: WriteOptions,
  part: UpdateRequest['part'],
  book: SchemaBook,
  now: () => string,
): UpdateRequest {
  const apiVersion = apiVersionOf(call.kind);
  if (config.apiVersion === undefined || config.kind === undefined) throw badRequest('apiVersion and kind must be set in an apply');
  if (metaOf(config).managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
  const decode = (value: Json): JsonObject => decodeObject(call, { value, duplicates: [] }, 'Ignore', book);
  // Decoding checks kind, place and fields. Its defaults are not the manager's wish, so what is owned is the form that was sent.
  decodeApplied(call, cloneJson(config), book);

  const apply = async (live: JsonObject | undefined): Promise<JsonObject> => {
    const shared: WriteContext = {
      schema: call.kind.version.schema,
      book,
      manager: options.fieldManager,
      apiVersion,
      subresource: call.subresource,
      ignored: untouchedParts(call),
      time: now(),
    };
    try {
      let context = shared;
      if (call.kind.version.converter !== undefined) {
        // What comes of it is the same whoever owns what; only then others can be asked about it in their versions.
        const next = decode(applyFields(live, cloneObject(config), shared, true).object);
        context = { ...shared, otherVersions: await versionedWrites(call.kind, live, next, call.signal) };
      }
      return decode(applyFields(live, cloneObject(config), context, options.force).object);
    } catch (error) {
      if (error instanceof ApplyConflictError) throw applyConflict(error.causes, error.message);
      if (error instanceof MissingKeyError) throw badRequest(error.message);
      throw error;
    }
  };
  return {
    part,
    retries: true,
    managesFields: true,
    transform: apply,
    ...(call.subresource === '' ? { createIfAbsent: () => apply(undefined) } : {}),
  };
}
