import { badRequest, unsupportedMediaType } from '@dure/api';
import type { ApiRequest } from '../http/exchange.ts';
import type { RegistryCall } from './scope.ts';
import type { WriteOptions } from './write-options.ts';
import type { UpdateRequest } from './writer.ts';

export function patchRequest(
  _call: RegistryCall,
  _request: ApiRequest,
  _bytes: Uint8Array,
  _part: UpdateRequest['part'],
): { options: WriteOptions; change: UpdateRequest } {
  if (_bytes.length === 0) throw badRequest('no patch');
  throw unsupportedMediaType([]);
}
