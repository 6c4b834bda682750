import type { BlobStore } from './blob-store.ts';
import type { Digest } from './digest.ts';
import type { Leases } from './leases.ts';
import type { Descriptor } from './manifest.ts';
import type { RegistrySession } from './registry-session.ts';
import type { Semaphore } from './semaphore.ts';
import type { SharedWork } from './shared-work.ts';

/** Fetches blobs of layers, each once at a time however many pulls want it, and tells all of them how far it is. */
export class LayerDownloads {
  readonly #blobs: BlobStore;
  readonly #slots: Semaphore;
  readonly #work: SharedWork<void>;
  readonly #leases: Leases;
  readonly #listeners = new Map<Digest, Set<(bytesHere: number) => void>>();

  constructor(deps: { readonly blobs: BlobStore; readonly slots: Semaphore; readonly work: SharedWork<void>; readonly leases: Leases }) {
    this.#blobs = deps.blobs;
    this.#slots = deps.slots;
    this.#work = deps.work;
    this.#leases = deps.leases;
  }

  /** Brings the blob into the store. The caller holds a lease on its digest. @throws {RegistryFault} @throws {DigestMismatchError} */
  async fetch(session: RegistrySession, descriptor: Descriptor, onBytes: (bytesHere: number) => void, signal: AbortSignal): Promise<void> {
    const { digest } = descriptor;
    const listeners = this.#listeners.get(digest) ?? new Set();
    this.#listeners.set(digest, listeners.add(onBytes));
    const tell = (bytesHere: number): void => {
      for (const listener of this.#listeners.get(digest) ?? []) listener(bytesHere);
    };
    try {
      await this.#work.run(digest, (shared) => this.#slots.run(() => session.blob(descriptor, tell, shared), shared), signal);
    } finally {
      listeners.delete(onBytes);
      if (listeners.size === 0) this.#listeners.delete(digest);
    }
  }

  /** Drops a layer's blob, whose unpacked form is here now, unless somebody holds a lease on it. */
  async drop(digest: Digest): Promise<void> {
    if (!this.#leases.has(digest)) await this.#blobs.remove(digest);
  }
}
