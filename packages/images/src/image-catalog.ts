import type { Clock, Logger } from '@dure/foundation';
import type { BlobStore } from './blob-store.ts';
import type { ImageStatus } from './contract.ts';
import type { Digest } from './digest.ts';
import { type ImageRecord, type ImageRecords, statusOf } from './image-records.ts';
import type { LayerStore } from './layer-store.ts';
import type { Leases } from './leases.ts';
import { parseImageId, parseReference, renderReference, repositoryOf } from './reference.ts';

export interface CatalogDeps {
  readonly records: ImageRecords;
  readonly layers: LayerStore;
  readonly blobs: BlobStore;
  /** On diffIDs and blob digests of work under way. */
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What an interrupted pull left is of use to the next one for this long. */
const UNUSED_KEPT_MS = 24 * 60 * 60 * 1000;

/** Which images are here, by what names, and what on disk belongs to them. Changes go one after the other. */
export class ImageCatalog {
  readonly #deps: CatalogDeps;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  /** By tag, digest or id. */
  find(reference: string): ImageRecord | undefined {
    const { records } = this.#deps;
    const id = parseImageId(reference);
    return id === undefined ? records.byName(renderReference(parseReference(reference))) : records.get(id);
  }

  statusOf(record: ImageRecord): ImageStatus {
    const { records, layers } = this.#deps;
    return statusOf(record, records.namesOf(record.id), (layer) => layers.directoryOf(layer));
  }

  list(): readonly ImageStatus[] {
    return this.#deps.records.list().map((record) => this.statusOf(record));
  }

  /** Makes `record` known by `names`; an image that thereby lost its last name goes. */
  add(record: ImageRecord, names: readonly string[]): Promise<ImageStatus> {
    return this.#exclusively(async () => {
      const known = this.#deps.records.get(record.id);
      const blobs = known === undefined ? record.blobs : [...new Set([...known.blobs, ...record.blobs])];
      await this.#deps.records.put({ ...record, blobs }, names);
      await this.#removeNameless();
      return this.statusOf(record);
    });
  }

  /**
   * Forgets a name, or with an id all of an image's names. With its last tag in a repository, an image's digests there go too: nobody who removes
   * `nginx:1` means to keep `nginx@sha256:...`.
   */
  remove(reference: string): Promise<void> {
    return this.#exclusively(async () => {
      const record = this.find(reference);
      if (record === undefined) return;
      await this.#deps.records.removeNames(this.#namesToForget(reference, record));
      await this.#removeNameless();
    });
  }

  /** Removes what nothing refers to: after a crash, and what interrupted pulls left long ago. */
  sweep(): Promise<void> {
    return this.#exclusively(async () => {
      const { records, layers, blobs, clock, log } = this.#deps;
      for (const record of records.list()) {
        const lost = record.layers.filter((name) => layers.get(name) === undefined);
        if (lost.length === 0) continue;
        log.warn('image has lost layers and is forgotten', { image: record.id, layers: lost });
        const { tags, digests } = records.namesOf(record.id);
        await records.removeNames([...tags, ...digests]);
      }
      await this.#removeNameless();
      const oldMs = clock.now() - UNUSED_KEPT_MS;
      await blobs.sweepPartial(oldMs);
      const { layerNames, blobDigests } = this.#referenced();
      for (const { name, diffID } of layers.list()) {
        if (!layerNames.has(name) && !this.#deps.leases.has(diffID) && (await layers.madeAt(name)) < oldMs) await layers.remove(name);
      }
      for (const digest of await blobs.list()) {
        if (!blobDigests.has(digest) && !this.#deps.leases.has(digest) && (await blobs.arrivedAt(digest)) < oldMs)
          await blobs.remove(digest);
      }
    });
  }

  async usage(): Promise<{ readonly bytes: number; readonly inodes: number }> {
    const { layers, blobs } = this.#deps;
    let { bytes, files: inodes } = await blobs.usage();
    for (const layer of layers.list()) {
      bytes += layer.bytes;
      inodes += layer.inodes;
    }
    return { bytes, inodes };
  }

  /** Resolves when no change is under way. */
  async idle(): Promise<void> {
    await this.#last;
  }

  #namesToForget(reference: string, record: ImageRecord): readonly string[] {
    const { tags, digests } = this.#deps.records.namesOf(record.id);
    if (parseImageId(reference) !== undefined) return [...tags, ...digests];
    const parsed = parseReference(reference);
    const name = renderReference(parsed);
    const repository = repositoryOf(parsed);
    const isLastTag = parsed.digest === undefined && !tags.some((tag) => tag !== name && tag.startsWith(`${repository}:`));
    return isLastTag ? [name, ...digests.filter((digest) => digest.startsWith(`${repository}@`))] : [name];
  }

  async #removeNameless(): Promise<void> {
    const { records, layers, blobs, leases } = this.#deps;
    const doomed = records.nameless();
    for (const { id } of doomed) await records.removeRecord(id);
    const { layerNames, blobDigests } = this.#referenced();
    for (const record of doomed) {
      for (const name of record.layers) {
        const layer = layers.get(name);
        if (layer !== undefined && !layerNames.has(name) && !leases.has(layer.diffID)) await layers.remove(name);
      }
      for (const digest of record.blobs) {
        if (!blobDigests.has(digest) && !leases.has(digest)) await blobs.remove(digest);
      }
    }
  }

  #referenced(): { readonly layerNames: ReadonlySet<string>; readonly blobDigests: ReadonlySet<Digest> } {
    const all = this.#deps.records.list();
    return { layerNames: new Set(all.flatMap(({ layers }) => layers)), blobDigests: new Set(all.flatMap(({ blobs }) => blobs)) };
  }

  #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => {});
    return result;
  }
}
