import {
  expired,
  type GroupResource,
  internalError,
  requestEntityTooLarge,
  type Status,
  StatusError,
  serviceUnavailable,
  timeout,
} from '@dure/api';
import {
  CompactedError,
  FutureRevisionError,
  StoreBrokenError,
  StoreClosedError,
  StoreDamagedError,
  StoreFullError,
  StoreSealedError,
  StoreTooLargeError,
  StoreUnavailableError,
} from '@dure/store';
import { type ApiResponse, jsonDocument } from '../http/exchange.ts';

/** What a request that failed is answered. Statuses pass, the store's errors say what they are; anything else is an InternalError whose cause stays in the log. */
export function failureResponse(error: unknown): ApiResponse {
  const known = error instanceof StatusError ? error : storeFailure(error);
  return statusResponse((known ?? internalError(new Error('the server could not complete the request; its log has the cause'))).status);
}

/** The store's error in the API's words, which name no keys; `undefined` for other errors. */
export function storeFailure(error: unknown): StatusError | undefined {
  if (error instanceof StoreFullError) return serviceUnavailable('the store has no space left: only deletes are accepted');
  if (error instanceof StoreBrokenError) return serviceUnavailable('the store cannot write: its disk refuses; reads are served');
  if (error instanceof StoreUnavailableError)
    return serviceUnavailable('the store does not answer now; what was asked for may or may not have been done: try again');
  if (error instanceof StoreTooLargeError) return requestEntityTooLarge('the store does not take objects of this size');
  if (error instanceof StoreClosedError) return serviceUnavailable('the server is shutting down');
  if (error instanceof StoreDamagedError)
    return internalError(new Error('the store cannot read what was asked for: bytes on its disk are damaged'));
  if (error instanceof StoreSealedError) return internalError(new Error(`unable to transform what is stored: ${error.reason}`));
  if (error instanceof CompactedError) return expired('The provided resource version is too old.');
  if (error instanceof FutureRevisionError) return timeout('Too large resource version');
  return undefined;
}

export function statusResponse(status: Status): ApiResponse {
  const retry = status.details?.retryAfterSeconds;
  return {
    status: status.code,
    headers: { 'content-type': 'application/json', ...(retry === undefined || retry === 0 ? {} : { 'retry-after': String(retry) }) },
    body: { kind: 'document', document: jsonDocument(status) },
  };
}

/** Nothing is served at this path. */
export function unknownPath(): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'the server could not find the requested resource',
    reason: 'NotFound',
    details: {},
    code: 404,
  });
}

/** The resource is there, but not with this method. */
export function unsupportedMethod(_resource: GroupResource): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'the server does not allow this method on the requested resource',
    reason: 'MethodNotAllowed',
    details: {},
    code: 405,
  });
}
