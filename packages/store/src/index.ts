export type { Change, Durability, Entry, ListOptions, Page, Progress, Revision, Store, StoreEvent } from './contract.ts';
export { CompactedError, FutureRevisionError, RevisionConflictError, SlowWatcherError, StoreFullError } from './errors.ts';
