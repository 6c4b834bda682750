import { mkdir, readFile } from 'node:fs/promises';
import type { Clock, Logger, Random } from '@dure/foundation';
import { BlobStore } from './blob-store.ts';
import type { ImageService, PullProgress } from './contract.ts';
import { importImages } from './image-archive.ts';
import { ImageCatalog } from './image-catalog.ts';
import { type PullDeps, pullImage } from './image-pull.ts';
import { ImageRecords } from './image-records.ts';
import { LayerDownloads } from './layer-downloads.ts';
import { LayerStore } from './layer-store.ts';
import type { LayerLimits } from './layer-unpack.ts';
import { Leases } from './leases.ts';
import { hostPlatform, type Platform } from './platform.ts';
import { parseReference, renderReference } from './reference.ts';
import { RegistryClient } from './registry-client.ts';
import { RegistryFault } from './registry-fault.ts';
import { type RegistriesConfig, RegistryHosts } from './registry-hosts.ts';
import type { RetryPolicy } from './retry.ts';
import { Semaphore } from './semaphore.ts';
import { CallerLeftError, SharedWork } from './shared-work.ts';
import { openSyscalls } from './syscalls.ts';

export interface ImageStoreOptions {
  /** Made if absent. Belongs to one process at a time; on a file system with extended attributes that overlayfs can stack. */
  readonly directory: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** Default: every registry at its own name, over TLS unless it is on this machine. */
  readonly registries?: RegistriesConfig;
  /** Blobs that are downloaded at once. Default: 3. */
  readonly parallel?: number;
  /** Default: this machine's. */
  readonly platform?: Platform;
  /** Default: 32 GiB and 1 000 000 members. */
  readonly limits?: Partial<LayerLimits>;
  /** Default: 5 tries, 500 ms to 10 s apart, Retry-After up to 60 s. */
  readonly retry?: Partial<RetryPolicy>;
  /** A registry that sends nothing for so long is given up (and asked again). Default: 30 000. */
  readonly idleTimeoutMs?: number;
}

const LIMITS: LayerLimits = { bytesMax: 32 * 1024 ** 3, entriesMax: 1_000_000 };
const RETRY: RetryPolicy = { triesMax: 5, backoff: { baseMs: 500, maxMs: 10_000 }, retryAfterMaxMs: 60_000 };
const PARALLEL_DOWNLOADS = 3;
/** Unpacking is bound by processor and disk; more at once would only take memory. */
const PARALLEL_UNPACKS = 2;
const IDLE_TIMEOUT_MS = 30_000;

/** Opens the images under `directory` and clears away what a crash left. Needs root, as owners and devices do. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageService> {
  const { directory, clock, random } = options;
  const log = options.log.child({ component: 'images' });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const leases = new Leases();
  const blobs = await BlobStore.open(directory);
  const layers = await LayerStore.open(directory, {
    limits: { ...LIMITS, ...options.limits },
    syscalls: openSyscalls(),
    random,
    unpacking: new Semaphore(PARALLEL_UNPACKS),
    bootID: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    log,
  });
  const catalog = new ImageCatalog({ records: await ImageRecords.open(directory), layers, blobs, leases, clock, log });
  await catalog.sweep();

  const hosts = new RegistryHosts(options.registries ?? {}, options.idleTimeoutMs ?? IDLE_TIMEOUT_MS);
  const work = new SharedWork<Awaited<ReturnType<LayerStore['unpack']>>>(isPersonal);
  const downloading = new SharedWork<void>(isPersonal);
  const downloads = new LayerDownloads({ blobs, leases, work: downloading, slots: new Semaphore(options.parallel ?? PARALLEL_DOWNLOADS) });
  const pulls = new SharedWork<Awaited<ReturnType<typeof pullImage>>>(() => false);
  const imports = new SharedWork<readonly string[]>(() => false);
  const deps: PullDeps = {
    client: new RegistryClient({ hosts, clock }),
    policy: { ...RETRY, ...options.retry },
    platform: options.platform ?? hostPlatform(),
    ...{ hosts, blobs, layers, catalog, downloads, leases, work, clock, random, log },
  };
  const listeners = new Map<string, Set<(progress: PullProgress) => void>>();
  const closed = new AbortController();

  return {
    async pull(text, { credentials = [], onProgress = () => {}, signal } = {}) {
      const reference = parseReference(text);
      const name = renderReference(reference);
      if (reference.digest !== undefined) {
        // What a digest names never changes: nothing needs to be asked.
        const here = catalog.find(name);
        if (here !== undefined) return catalog.statusOf(here);
      }
      // Other credentials may see other things, so such pulls share layers only.
      const key = JSON.stringify([name, credentials]);
      const heard = listeners.get(key) ?? new Set();
      listeners.set(key, heard.add(onProgress));
      const tell = (progress: PullProgress): void => {
        for (const listener of listeners.get(key) ?? []) listener(progress);
      };
      try {
        return await pulls.run(
          key,
          (shared) => pullImage({ reference, credentials, onProgress: tell }, deps, shared),
          signal === undefined ? closed.signal : AbortSignal.any([signal, closed.signal]),
        );
      } finally {
        heard.delete(onProgress);
        if (heard.size === 0) listeners.delete(key);
      }
    },
    async status(reference) {
      const record = catalog.find(reference);
      return record === undefined ? undefined : catalog.statusOf(record);
    },
    async list() {
      return catalog.list();
    },
    remove: (reference) => catalog.remove(reference),
    importArchive: (path, signal) =>
      imports.run(
        path,
        (shared) => importImages(path, directory, deps, shared),
        signal === undefined ? closed.signal : AbortSignal.any([signal, closed.signal]),
      ),
    usage: () => catalog.usage(),
    async [Symbol.asyncDispose]() {
      const reason = new Error('image store closed');
      closed.abort(reason);
      for (const running of [pulls, imports, work, downloading]) await running.stop(reason);
      await catalog.idle();
      await layers[Symbol.asyncDispose]();
      await hosts[Symbol.asyncDispose]();
    },
  };
}

/** What other pulls of the same layer should not suffer from: the credentials, or the end, of the one that began it. */
function isPersonal(error: unknown): boolean {
  return error instanceof CallerLeftError || (error instanceof RegistryFault && error.kind === 'unauthorized');
}
