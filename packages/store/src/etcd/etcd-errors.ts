import { messageOf } from '@dure/foundation';
import { type ServiceError, status } from '@grpc/grpc-js';
import { StoreAccessError, StoreDamagedError, StoreFullError, StoreTooLargeError, StoreUnavailableError } from '../errors.ts';

/** What etcd answered, or that it did not. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** The read is before the last compaction. */
export function isCompacted(error: unknown): boolean {
  return isServiceError(error) && error.code === status.OUT_OF_RANGE && error.details.includes('compacted');
}

/** The read is at a revision that is still to come. */
export function isFuture(error: unknown): boolean {
  return isServiceError(error) && error.code === status.OUT_OF_RANGE && error.details.includes('future');
}

/** The connection, or the member at its end, cannot serve now; another may. */
export function isUnavailable(error: unknown): boolean {
  return isServiceError(error) && (error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED);
}

/** The token has run out, or users were changed since it was given. The call has not been carried out. */
export function isTokenRefused(error: unknown): boolean {
  if (!isServiceError(error)) return false;
  return error.code === status.UNAUTHENTICATED || error.details.includes('revision of auth store is old');
}

/** An answer was larger than this side takes. */
export function isAnswerTooLarge(error: unknown): boolean {
  return isServiceError(error) && error.code === status.RESOURCE_EXHAUSTED && /received message larger than max/i.test(error.details);
}

/** What a failed call is to callers of the store. Errors of other origin come back as they are. @param what What was tried, as `append /key`. */
export function storeError(what: string, error: unknown): unknown {
  if (!isServiceError(error)) return error;
  const options = { cause: error };
  switch (error.code) {
    case status.RESOURCE_EXHAUSTED:
      if (error.details.includes('database space exceeded')) return new StoreFullError(what, options);
      if (/larger than max/i.test(error.details)) return new StoreTooLargeError(what, options);
      return new StoreUnavailableError(what, messageOf(error), options);
    case status.INVALID_ARGUMENT:
      if (error.details.includes('request is too large')) return new StoreTooLargeError(what, options);
      return new StoreAccessError(what, messageOf(error), options);
    case status.DATA_LOSS:
      return new StoreDamagedError(what);
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
    case status.FAILED_PRECONDITION:
    case status.UNIMPLEMENTED:
      return new StoreAccessError(what, messageOf(error), options);
    default:
      return new StoreUnavailableError(what, messageOf(error), options);
  }
}
