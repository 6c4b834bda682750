import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageConfig, ImageStatus } from './contract.ts';
import type { Digest } from './digest.ts';
import { parseOwn, readIfPresent, removeDurably, writeDurably } from './durable-file.ts';

/** What is known about an image, apart from its names. */
export interface ImageRecord {
  /** Digest of its configuration. */
  readonly id: Digest;
  readonly sizeBytes: number;
  readonly config: ImageConfig;
  readonly architecture: string;
  /** Names of its unpacked layers, topmost first. */
  readonly layers: readonly string[];
  /** Blobs kept for it: configuration, manifest, index. */
  readonly blobs: readonly Digest[];
}

/**
 * Images (`images/<id>.json`) and the index of their names (`names.json`), all in memory, every change on disk before it counts.
 * Records come before the names that point at them, and go after: a crash in between leaves a record without names, which
 * {@link nameless} finds.
 */
export class ImageRecords {
  readonly #directory: string;
  readonly #images = new Map<Digest, ImageRecord>();
  /** From `repo:tag` and `repo@digest`, fully qualified, to an image's id. */
  readonly #names = new Map<string, Digest>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<ImageRecords> {
    const records = new ImageRecords(directory);
    await mkdir(join(directory, 'images'), { recursive: true, mode: 0o700 });
    for (const file of await readdir(join(directory, 'images'))) {
      if (!file.endsWith('.json')) continue;
      const content = await readIfPresent(join(directory, 'images', file));
      const record = content === undefined ? undefined : parseOwn<ImageRecord>(content);
      // What a failing disk has taken can be pulled again; an agent that does not start cannot.
      if (record !== undefined) records.#images.set(record.id, record);
    }
    const names = await readIfPresent(join(directory, 'names.json'));
    const entries = (names === undefined ? undefined : parseOwn<Record<string, Digest>>(names)) ?? {};
    for (const [name, id] of Object.entries(entries)) {
      if (records.#images.has(id)) records.#names.set(name, id);
    }
    return records;
  }

  get(id: Digest): ImageRecord | undefined {
    return this.#images.get(id);
  }

  /** @param name `repo:tag` or `repo@digest`, fully qualified. */
  byName(name: string): ImageRecord | undefined {
    const id = this.#names.get(name);
    return id === undefined ? undefined : this.#images.get(id);
  }

  list(): readonly ImageRecord[] {
    return [...this.#images.values()];
  }

  namesOf(id: Digest): { readonly tags: readonly string[]; readonly digests: readonly string[] } {
    const names = [...this.#names].flatMap(([name, named]) => (named === id ? [name] : [])).sort();
    return { tags: names.filter((name) => !name.includes('@')), digests: names.filter((name) => name.includes('@')) };
  }

  /** Images that nothing names any more. */
  nameless(): readonly ImageRecord[] {
    const named = new Set(this.#names.values());
    return this.list().filter(({ id }) => !named.has(id));
  }

  /** Adds or replaces `record`, and points `names` at it. */
  async put(record: ImageRecord, names: readonly string[]): Promise<void> {
    await writeDurably(this.#path(record.id), JSON.stringify(record));
    this.#images.set(record.id, record);
    await this.#setNames(new Map([...this.#names, ...names.map((name) => [name, record.id] as const)]));
  }

  async removeNames(names: readonly string[]): Promise<void> {
    const doomed = new Set(names);
    await this.#setNames(new Map([...this.#names].filter(([name]) => !doomed.has(name))));
  }

  /** Removes a record that has no names. */
  async removeRecord(id: Digest): Promise<void> {
    await removeDurably(this.#path(id));
    this.#images.delete(id);
  }

  async #setNames(names: ReadonlyMap<string, Digest>): Promise<void> {
    await writeDurably(join(this.#directory, 'names.json'), JSON.stringify(Object.fromEntries(names), undefined, 1));
    this.#names.clear();
    for (const [name, id] of names) this.#names.set(name, id);
  }

  #path(id: Digest): string {
    return join(this.#directory, 'images', `${id.replace(':', '-')}.json`);
  }
}

/** A record in CRI's words. @param directoryOf Where a layer lies. */
export function statusOf(
  record: ImageRecord,
  names: ReturnType<ImageRecords['namesOf']>,
  directoryOf: (layer: string) => string,
): ImageStatus {
  const { id, sizeBytes, config, architecture } = record;
  return { id, ...names, sizeBytes, config, architecture, lowerDirs: record.layers.map(directoryOf) };
}
