/**
 * The API's answer when something failed, and the builders of each kind of it with the message shapes that clients know.
 * @see apimachinery, `api/errors`; https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
import type { FieldError } from './field-error.ts';
import { quoted } from './quoted.ts';

export type StatusReason =
  | ''
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Invalid'
  | 'ServerTimeout'
  | 'StoreReadError'
  | 'Timeout'
  | 'TooManyRequests'
  | 'BadRequest'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'InternalError'
  | 'Expired'
  | 'ServiceUnavailable';

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** A kind for Invalid, a plural resource for all others, as upstream. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** The object on the wire. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string; readonly resourceVersion?: string; readonly remainingItemCount?: number };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: StatusReason;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** A failed request, as the API says it. Thrown inside the server, and by clients for what a server answered. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code = 'API_STATUS';
  readonly status: Status;

  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? status.reason ?? `status ${status.code}`, options);
    this.status = status;
  }

  get reason(): StatusReason {
    return this.status.reason ?? '';
  }

  get retryAfterSeconds(): number | undefined {
    return this.status.details?.retryAfterSeconds;
  }
}

/** Names a collection or a kind in messages: `deployments.apps`, `pods`. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

/** Why an update with an old resourceVersion is refused. */
export const OBJECT_MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again';

export function notFound(resource: GroupResource, name: string): StatusError {
  return failure(404, 'NotFound', `${qualified(resource)} ${quoted(name)} not found`, detailsOf(resource, name));
}

export function alreadyExists(resource: GroupResource, name: string): StatusError {
  return failure(409, 'AlreadyExists', `${qualified(resource)} ${quoted(name)} already exists`, detailsOf(resource, name));
}

/** No free name was found for `generateName`. */
export function generateNameConflict(resource: GroupResource, name: string, retryAfterSeconds: number): StatusError {
  const message = `${qualified(resource)} ${quoted(name)} already exists, the server was not able to generate a unique name for the object`;
  return failure(409, 'AlreadyExists', message, { ...detailsOf(resource, name), retryAfterSeconds });
}

/** @param why Default: {@link OBJECT_MODIFIED}. */
export function conflict(resource: GroupResource, name: string, why: string = OBJECT_MODIFIED): StatusError {
  return failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} ${quoted(name)}: ${why}`,
    detailsOf(resource, name),
  );
}

/** Server-side apply met fields of other managers. */
export function applyConflict(causes: readonly StatusCause[], message: string): StatusError {
  return failure(409, 'Conflict', message, { causes });
}

export function forbiddenRequest(resource: GroupResource, name: string, why: string): StatusError {
  const subject =
    resource.resource === '' && resource.group === '' ? 'forbidden' : name === '' ? `${qualified(resource)} is forbidden` : undefined;
  return failure(
    403,
    'Forbidden',
    `${subject ?? `${qualified(resource)} ${quoted(name)} is forbidden`}: ${why}`,
    detailsOf(resource, name),
  );
}

export function unauthorized(message = 'Unauthorized'): StatusError {
  return failure(401, 'Unauthorized', message);
}

/** The object failed validation: one cause per fault. */
export function invalidObject(kind: GroupKind, name: string, errors: readonly FieldError[]): StatusError {
  const causes = errors.map(({ reason, field, message }) => ({ reason, message, field }));
  const subject = `${kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`} ${quoted(name)} is invalid`;
  const message = errors.length === 0 ? subject : `${subject}: ${aggregate(errors)}`;
  return failure(422, 'Invalid', message, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.kind,
    ...(causes.length === 0 ? {} : { causes }),
  });
}

export function badRequest(message: string): StatusError {
  return failure(400, 'BadRequest', message);
}

/** A resourceVersion or continue token older than the log. */
export function expired(message: string): StatusError {
  return failure(410, 'Expired', message);
}

/** A watch's resourceVersion is older than the server's cache. */
export function gone(message: string): StatusError {
  return failure(410, 'Gone', message);
}

export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return failure(429, 'TooManyRequests', message, { retryAfterSeconds });
}

export function methodNotAllowed(resource: GroupResource, action: string): StatusError {
  const message = `${action} is not supported on resources of kind ${quoted(qualified(resource))}`;
  return failure(405, 'MethodNotAllowed', message, detailsOf(resource, ''));
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  const message = `only the following media types are accepted: ${accepted.join(', ')}`;
  return failure(406, 'NotAcceptable', message);
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return failure(415, 'UnsupportedMediaType', message);
}

export function requestEntityTooLarge(message: string): StatusError {
  return failure(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`);
}

/** The request ran out of its time; it may still take effect. */
export function timeout(message: string, retryAfterSeconds = 0): StatusError {
  return failure(504, 'Timeout', `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : {});
}

export function serverTimeout(resource: GroupResource, operation: string, retryAfterSeconds = 0): StatusError {
  const message = `The ${operation} operation against ${qualified(resource)} could not be completed at this time, please try again.`;
  return failure(500, 'ServerTimeout', message, {
    ...detailsOf(resource, operation),
    ...(retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),
  });
}

export function serviceUnavailable(message: string): StatusError {
  return failure(503, 'ServiceUnavailable', message);
}

/** @param error Its message is shown to the client; log the cause beside it. */
export function internalError(error: unknown): StatusError {
  const message = error instanceof Error ? error.message : String(error);
  return new StatusError(statusOf(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] }), {
    cause: error,
  });
}

/** An answer of 400 and above whose body is no Status: what client-go makes of it. */
export function genericStatus(
  code: number,
  verb: string,
  resource: GroupResource,
  name: string,
  body: string,
  retryAfterSeconds = 0,
): StatusError {
  const [reason, text] = genericReason(code, verb, body);
  const target =
    resource.resource === '' ? '' : ` (${[verb.toLowerCase(), qualified(resource), name].filter((part) => part !== '').join(' ')})`;
  return failure(code, reason, `${text}${target}`, {
    ...detailsOf(resource, name),
    causes: [{ reason: 'UnexpectedServerResponse', message: body }],
    ...(retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),
  });
}

/** The Status in a decoded answer, or `undefined` where it is something else. */
export function statusFrom(value: unknown): Status | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const candidate = value as Partial<Status>;
  if (candidate.kind !== 'Status' || (candidate.apiVersion as string | undefined) !== 'v1') return undefined;
  return {
    ...candidate,
    kind: 'Status',
    apiVersion: 'v1',
    metadata: candidate.metadata ?? {},
    status: candidate.status ?? 'Failure',
    code: candidate.code ?? 0,
  };
}

/** The Status of a success that has no object to show, such as a finished delete. */
export function successStatus(details: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 };
}

export function isNotFound(error: unknown): error is StatusError {
  return is(error, 'NotFound', 404);
}

export function isAlreadyExists(error: unknown): error is StatusError {
  return is(error, 'AlreadyExists');
}

export function isConflict(error: unknown): error is StatusError {
  return is(error, 'Conflict', 409);
}

export function isInvalid(error: unknown): error is StatusError {
  return is(error, 'Invalid', 422);
}

/** A list or watch must begin anew: the revision is no longer kept. */
export function isExpired(error: unknown): error is StatusError {
  return is(error, 'Expired') || is(error, 'Gone', 410);
}

export function isForbidden(error: unknown): error is StatusError {
  return is(error, 'Forbidden', 403);
}

export function isUnauthorized(error: unknown): error is StatusError {
  return is(error, 'Unauthorized', 401);
}

export function isBadRequest(error: unknown): error is StatusError {
  return is(error, 'BadRequest', 400);
}

export function isTooManyRequests(error: unknown): error is StatusError {
  return error instanceof StatusError && (error.reason === 'TooManyRequests' || error.status.code === 429);
}

export function isTimeout(error: unknown): error is StatusError {
  return is(error, 'Timeout', 504);
}

export function isServerTimeout(error: unknown): error is StatusError {
  return is(error, 'ServerTimeout');
}

export function isServiceUnavailable(error: unknown): error is StatusError {
  return is(error, 'ServiceUnavailable', 503);
}

export function isInternalError(error: unknown): error is StatusError {
  return is(error, 'InternalError', 500);
}

export function isMethodNotAllowed(error: unknown): error is StatusError {
  return is(error, 'MethodNotAllowed', 405);
}

/** `deployments.apps`, `pods`. */
export function qualified({ group, resource }: GroupResource): string {
  return group === '' ? resource : `${resource}.${group}`;
}

function is(error: unknown, reason: StatusReason, code?: number): error is StatusError {
  if (!(error instanceof StatusError)) return false;
  return error.reason === reason || (error.reason === '' && code !== undefined && error.status.code === code);
}

function failure(code: number, reason: StatusReason, message: string, details?: StatusDetails): StatusError {
  return new StatusError(statusOf(code, reason, message, details));
}

function statusOf(code: number, reason: StatusReason, message: string, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details === undefined || Object.keys(details).length === 0 ? {} : { details }),
    code,
  };
}

function detailsOf({ group, resource }: GroupResource, name: string): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), ...(resource === '' ? {} : { kind: resource }) };
}

/** Several faults as upstream joins them: repeats once, more than one in brackets. */
function aggregate(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
}

function genericReason(code: number, verb: string, body: string): readonly [StatusReason, string] {
  switch (code) {
    case 400:
      return ['BadRequest', 'the server rejected our request for an unknown reason'];
    case 401:
      return ['Unauthorized', 'the server has asked for the client to provide credentials'];
    case 403:
      return ['Forbidden', body];
    case 404:
      return ['NotFound', 'the server could not find the requested resource'];
    case 405:
      return ['MethodNotAllowed', 'the server does not allow this method on the requested resource'];
    case 406:
      return ['NotAcceptable', body === '' ? 'the server was unable to respond with a content type that the client supports' : body];
    case 409:
      return [verb === 'POST' ? 'AlreadyExists' : 'Conflict', 'the server reported a conflict'];
    case 410:
      return ['Gone', 'the server no longer has the requested revision'];
    case 413:
      return ['RequestEntityTooLarge', 'the server found the request too large'];
    case 415:
      return ['UnsupportedMediaType', body];
    case 422:
      return ['Invalid', 'the server rejected our request due to an error in our request'];
    case 429:
      return ['TooManyRequests', 'the server has received too many requests and has asked us to try again later'];
    case 503:
      return ['ServiceUnavailable', 'the server is currently unable to handle the request'];
    case 504:
      return ['Timeout', 'the server was unable to return a response in the time allotted, but may still be processing the request'];
    default:
      return code >= 500
        ? ['InternalError', `an error on the server (${quoted(body)}) has prevented the request from succeeding`]
        : ['', `the server responded with the status code ${code} but did not return more information`];
  }
}
