import type { Entry, Revision } from './contract.ts';

/** The key changed since the caller read it. `winner` is what stands there now. At the API edge: Conflict or AlreadyExists. */
export class RevisionConflictError extends Error {
  override readonly name = 'RevisionConflictError';
  readonly code = 'STORE_REVISION_CONFLICT';
  readonly winner: Entry | undefined;

  constructor(key: string, expected: Revision, winner: Entry | undefined) {
    super(`append ${key}: expected revision ${expected}, found ${winner?.modifiedAt ?? 'no entry'}`);
    this.winner = winner;
  }
}

/** History at `requested` has been compacted away. At the API edge: Expired. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  readonly code = 'STORE_COMPACTED';
  /** The oldest revision that can still be read. */
  readonly oldest: Revision;

  constructor(requested: Revision, oldest: Revision) {
    super(`read at revision ${requested}: compacted, the oldest readable revision is ${oldest}`);
    this.oldest = oldest;
  }
}

/** The store has not reached `requested` yet. At the API edge: Timeout with "Too large resource version". */
export class FutureRevisionError extends Error {
  override readonly name = 'FutureRevisionError';
  readonly code = 'STORE_FUTURE_REVISION';
  readonly current: Revision;

  constructor(requested: Revision, current: Revision) {
    super(`read at revision ${requested}: newest is ${current}`);
    this.current = current;
  }
}

/** A watcher's queue reached its bound; it must list anew. */
export class SlowWatcherError extends Error {
  override readonly name = 'SlowWatcherError';
  readonly code = 'STORE_SLOW_WATCHER';

  constructor(prefix: string, capacity: number) {
    super(`watch ${prefix}: consumer is more than ${capacity} events behind`);
  }
}

/** The disk is full: writes are refused; reads and deletes go on. */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
  readonly code = 'STORE_FULL';

  /** @param what What was tried, as `append /key`. */
  constructor(what: string, options: { cause: unknown }) {
    super(`${what}: no space left for the store`, options);
  }
}

/** The store has been disposed of; its watches end with this too. */
export class StoreClosedError extends Error {
  override readonly name = 'StoreClosedError';
  readonly code = 'STORE_CLOSED';

  constructor() {
    super('use store: it has been closed');
  }
}

/** Another process, or another store of this one, has the directory open. */
export class StoreLockedError extends Error {
  override readonly name = 'StoreLockedError';
  readonly code = 'STORE_LOCKED';

  constructor(directory: string, options: { cause: unknown }) {
    super(`open store ${directory}: another process has it open`, options);
  }
}

/** The directory cannot be used as a store: no permission, no space, damaged, or written by an unknown version. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';
  readonly code = 'STORE_OPEN';

  constructor(directory: string, reason: string, options: { cause: unknown }) {
    super(`open store ${directory}: ${reason}`, options);
  }
}

/** The disk refuses writes for another reason than space. Reads go on; writes will not until the store is opened anew. */
export class StoreBrokenError extends Error {
  override readonly name = 'StoreBrokenError';
  readonly code = 'STORE_BROKEN';

  /** @param what What was tried, as `append /key`. */
  constructor(what: string, options: { cause: unknown }) {
    super(`${what}: the disk refuses writes`, options);
  }
}

/** Bytes on disk are not those that were written. What else the store holds can still be read. */
export class StoreDamagedError extends Error {
  override readonly name = 'StoreDamagedError';
  readonly code = 'STORE_DAMAGED';

  constructor(what: string) {
    super(`read ${what}: the bytes on disk are damaged`);
  }
}

/**
 * The store is elsewhere and does not answer now. Trying again soon is right. A write that failed so may or may not have happened: read before
 * writing again. At the API edge: ServiceUnavailable or ServerTimeout.
 */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
  readonly code = 'STORE_UNAVAILABLE';

  /** @param what What was tried, as `append /key`. */
  constructor(what: string, reason: string, options: { cause: unknown }) {
    super(`${what}: the store does not answer: ${reason}`, options);
  }
}

/** The store answers, but refuses us: wrong certificate, user or permission. Trying again does not help before somebody changes that. */
export class StoreAccessError extends Error {
  override readonly name = 'StoreAccessError';
  readonly code = 'STORE_ACCESS';

  /** @param what What was tried, as `append /key`. */
  constructor(what: string, reason: string, options: { cause: unknown }) {
    super(`${what}: the store refuses: ${reason}`, options);
  }
}

/** The value is larger than this store takes (etcd: 1.5 MiB unless configured otherwise). At the API edge: RequestEntityTooLarge. */
export class StoreTooLargeError extends Error {
  override readonly name = 'StoreTooLargeError';
  readonly code = 'STORE_TOO_LARGE';

  /** @param what What was tried, as `append /key`. */
  constructor(what: string, options: { cause: unknown }) {
    super(`${what}: larger than the store takes`, options);
  }
}

/** The value is encrypted with a key that is not at hand, or is not what was encrypted. Other values can be read. At the API edge: InternalError. */
export class StoreSealedError extends Error {
  override readonly name = 'StoreSealedError';
  readonly code = 'STORE_SEALED';
  /** Without the key that it lies at, so that clients may be told. */
  readonly reason: string;

  constructor(key: string, reason: string, options: { cause?: unknown } = {}) {
    super(`transform ${key}: ${reason}`, options);
    this.reason = reason;
  }
}
