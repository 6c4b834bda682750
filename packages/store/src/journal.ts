import type { Durability, Revision } from './contract.ts';
import type { LogRecord } from './history.ts';

/** A write with its bytes; a deletion has none. */
export interface Written {
  readonly record: LogRecord;
  readonly value: Uint8Array | undefined;
  readonly durability: Durability;
}

/** Revisions (`from` <= r < `to`) at which a reader of keys under a prefix of `under` may have seen volatile writes that a crash took back. */
export interface LostRange {
  readonly from: Revision;
  readonly to: Revision;
  readonly under: readonly string[];
}

/** Where the bytes lie: the part in which drivers differ. Order, conflicts, history and watches are above it. */
export interface Journal extends AsyncDisposable {
  /**
   * Takes `writes`, all or none, and returns when the durable ones survive a power cut and no later opening can give out their revisions again.
   * One call at a time. @throws {NoSpaceError} The disk is full; anything else: it is broken.
   */
  commit(writes: readonly Written[]): Promise<void>;
  /** Values put at `revisions`, in their order, as they stand at the time of the call: a later {@link forget} does not reach them. */
  read(revisions: readonly Revision[]): Promise<readonly Uint8Array[]>;
  /** Nobody will read `gone` again. `compactedAt` is the oldest readable revision from now on. */
  forget(compactedAt: Revision, gone: readonly Revision[]): Promise<void>;
  /** Makes durable what was taken as volatile. */
  flush(): Promise<void>;
}

/** The medium takes no more bytes. */
export class NoSpaceError extends Error {
  override readonly name = 'NoSpaceError';
  readonly code = 'JOURNAL_NO_SPACE';
}
