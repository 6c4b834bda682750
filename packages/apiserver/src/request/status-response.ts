import { type GroupResource, internalError, type Status, StatusError } from '@dure/api';
import { type ApiResponse, jsonDocument } from '../http/exchange.ts';

/** What a request that failed is answered. Statuses pass; anything else is an InternalError whose cause stays in the log. */
export function failureResponse(error: unknown): ApiResponse {
  const { status } =
    error instanceof StatusError ? error : internalError(new Error('the server could not complete the request; its log has the cause'));
  return statusResponse(status);
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
