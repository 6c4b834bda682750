export type { Change, Durability, Entry, ListOptions, Page, Progress, Revision, Store, StoreEvent } from './contract.ts';
export {
  CompactedError,
  FutureRevisionError,
  RevisionConflictError,
  SlowWatcherError,
  StoreClosedError,
  StoreFullError,
} from './errors.ts';
export { type MemoryStoreOptions, openMemoryStore } from './memory-store.ts';
