import { type JsonObject, type SchemaBook, unsupportedMediaType } from '@dure/api';
import type { RegistryCall } from './scope.ts';
import type { WriteOptions } from './write-options.ts';
import type { UpdateRequest } from './writer.ts';

export function applyRequest(
  _call: RegistryCall,
  _object: JsonObject,
  _options: WriteOptions,
  _part: UpdateRequest['part'],
  _book: SchemaBook,
  _now: () => string,
): UpdateRequest {
  throw unsupportedMediaType([]);
}
