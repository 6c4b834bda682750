import { genericStatus, StatusError, statusFrom, toJsonText } from '@dure/api';

/** What is known of the request, for answers that say nothing themselves. */
export interface AnsweredRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The error that an answer of 400 and above, or an ERROR frame, stands for. */
export function statusErrorFrom(code: number, body: unknown, request: AnsweredRequest): StatusError {
  const status = statusFrom(body);
  const retryAfterSeconds = Number.parseInt(request.headers?.['retry-after'] ?? '', 10) || 0;
  if (status === undefined) {
    const text = typeof body === 'string' ? body : body === undefined ? '' : toJsonText(body);
    return genericStatus(code, request.method, resourceIn(request.path), '', text.slice(0, 2048), retryAfterSeconds);
  }
  const details =
    status.details?.retryAfterSeconds === undefined && retryAfterSeconds > 0 ? { ...status.details, retryAfterSeconds } : status.details;
  return new StatusError({ ...status, ...(details !== undefined && { details }), code: status.code || code });
}

/** How long the server asked to wait before the same request comes again. */
export function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof StatusError) || error.retryAfterSeconds === undefined) return undefined;
  return error.retryAfterSeconds * 1000;
}

/** The server has not reached the asked resourceVersion: another replica gave it, or its history was replaced. */
export function isResourceVersionTooLarge(error: unknown): boolean {
  return error instanceof StatusError && (error.status.details?.causes ?? []).some((cause) => cause.reason === 'ResourceVersionTooLarge');
}

/** The collection that a path names, as far as it can be told from the outside. */
function resourceIn(path: string): { readonly group: string; readonly resource: string } {
  const [withoutQuery = ''] = path.split('?');
  const match = /^\/(?:api|apis\/([^/]+))\/[^/]+\/(?:namespaces\/[^/]+\/)?([^/]+)/.exec(withoutQuery);
  return { group: match?.[1] ?? '', resource: match?.[2] ?? '' };
}
