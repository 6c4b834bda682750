import { badRequest, type JsonObject, type SchemaBook } from '@dure/api';
import type { ApiRequest } from '../http/exchange.ts';
import { applyRequest } from './apply.ts';
import { decodeObject } from './object-decoder.ts';
import { parsePatch, patched } from './patch.ts';
import type { RegistryCall } from './scope.ts';
import { parseWriteOptions, type WriteOptions } from './write-options.ts';
import type { UpdateRequest } from './writer.ts';

export interface PatchRequest {
  readonly options: WriteOptions;
  readonly change: UpdateRequest;
}

/** What a PATCH asks the writer to do. @throws {StatusError} */
export function patchRequest(
  call: RegistryCall,
  request: ApiRequest,
  bytes: Uint8Array,
  part: UpdateRequest['part'],
  book: SchemaBook,
  now: () => string,
): PatchRequest {
  const { version } = call.kind;
  const strategic = version.schema.ref !== undefined;
  const patch = parsePatch(request.headers['content-type'], bytes, strategic);
  const options = parseWriteOptions(request.query, request.headers['user-agent'] ?? '', 'PatchOptions', patch.kind === 'apply');
  if (patch.kind === 'apply') {
    if (patch.repeatedKey !== undefined) {
      const fault = `error converting YAML to JSON: ${patch.repeatedKey}`;
      if (options.fieldValidation === 'Strict') throw badRequest(`error strict decoding YAML: ${fault}`);
      if (options.fieldValidation === 'Warn') call.warn(fault);
    }
    return { options, change: applyRequest(call, patch.object, options, part, book, now) };
  }
  const transform = (old: JsonObject): JsonObject => {
    const value = patched(patch, old, version.schema, book);
    if (typeof value !== 'object' || value === null) throw badRequest('the patch leaves no object');
    const duplicates = patch.kind === 'json' ? [] : patch.duplicates;
    return decodeObject(call, { value, duplicates }, options.fieldValidation, book);
  };
  return { options, change: { transform, retries: true, part } };
}
