export type { Change, Durability, Entry, ListOptions, Page, Progress, Revision, Store, StoreEvent } from './contract.ts';
export { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded-store.ts';
export {
  CompactedError,
  FutureRevisionError,
  RevisionConflictError,
  SlowWatcherError,
  StoreAccessError,
  StoreBrokenError,
  StoreClosedError,
  StoreDamagedError,
  StoreFullError,
  StoreLockedError,
  StoreOpenError,
  StoreSealedError,
  StoreTooLargeError,
  StoreUnavailableError,
} from './errors.ts';
export { type MemoryStoreOptions, openMemoryStore } from './memory-store.ts';
export { type Opened, SealedStore, type ValueSealer } from './sealed-store.ts';
