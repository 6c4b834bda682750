import { createHash } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode, type Random } from '@dure/foundation';
import type { Digest } from './digest.ts';
import { readIfPresent, syncDirectory, writeDurably } from './durable-file.ts';
import { DigestMismatchError } from './errors.ts';
import { applyAttributes, attributesBelow, type DirectoryAttributes } from './implied-directories.ts';
import { type LayerLimits, unpackLayer } from './layer-unpack.ts';
import type { Semaphore } from './semaphore.ts';
import type { Syscalls } from './syscalls.ts';

/** An unpacked layer. Its directory never changes again. */
export interface Layer {
  /** Its directory's name, which records refer to. */
  readonly name: string;
  readonly diffID: Digest;
  readonly bytes: number;
  readonly inodes: number;
  /** Directories its archive left undescribed, with the attributes they were given from the layers below. */
  readonly implied: readonly DirectoryAttributes[];
}

export interface LayerStoreDeps {
  readonly limits: LayerLimits;
  readonly syscalls: Syscalls;
  readonly random: Random;
  /** Bounds how many layers are unpacked at once. */
  readonly unpacking: Semaphore;
}

/**
 * Unpacked layers (`layers/<name>/fs` with `layer.json` beside it), shared by all images that have them.
 *
 * A layer may leave directories undescribed (`./`, or `usr/` when it only brings `usr/bin/x`). An overlay shows the topmost description, so such
 * a directory must repeat what the layers below say. Hence one layer can exist in variants, one for each answer from below; nearly all have one.
 */
export class LayerStore {
  readonly #directory: string;
  readonly #deps: LayerStoreDeps;
  readonly #layers = new Map<string, Layer>();

  private constructor(directory: string, deps: LayerStoreDeps) {
    this.#directory = directory;
    this.#deps = deps;
  }

  /** Also removes what a killed process left half unpacked or half removed. */
  static async open(directory: string, deps: LayerStoreDeps): Promise<LayerStore> {
    const store = new LayerStore(directory, deps);
    await rm(join(directory, 'staging'), { recursive: true, force: true });
    for (const part of ['layers', 'staging']) await mkdir(join(directory, part), { recursive: true, mode: 0o700 });
    for (const name of await readdir(join(directory, 'layers'))) {
      const record = await readIfPresent(join(directory, 'layers', name, 'layer.json'));
      if (record === undefined) continue;
      store.#layers.set(name, { ...(JSON.parse(record.toString('utf8')) as Omit<Layer, 'name'>), name });
    }
    return store;
  }

  get(name: string): Layer | undefined {
    return this.#layers.get(name);
  }

  list(): readonly Layer[] {
    return [...this.#layers.values()];
  }

  /** The directory to stack. */
  directoryOf(name: string): string {
    return join(this.#directory, 'layers', name, 'fs');
  }

  /** Wall time in milliseconds when a layer was unpacked; 0 if it is not here. */
  async madeAt(name: string): Promise<number> {
    try {
      return (await stat(join(this.#directory, 'layers', name, 'layer.json'))).mtimeMs;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  /** A layer that is here and fits on `below` (directories, topmost first). */
  async find(diffID: Digest, below: readonly string[]): Promise<Layer | undefined> {
    for (const layer of this.#layers.values()) {
      if (layer.diffID !== diffID) continue;
      const wanted = await attributesBelow(
        layer.implied.map(({ path }) => path),
        below,
      );
      if (variantOf(wanted) === variantOf(layer.implied)) return layer;
    }
    return undefined;
  }

  /**
   * Unpacks a layer; it appears as a whole and on disk for good, or not at all.
   * @param below Gives the directories under it, topmost first; asked for only once the archive has been read.
   * @throws {LayerRejectedError} @throws {DigestMismatchError} Its uncompressed archive is not `diffID`.
   */
  async unpack(
    diffID: Digest,
    source: AsyncIterable<Uint8Array>,
    below: () => Promise<readonly string[]>,
    signal: AbortSignal,
  ): Promise<Layer> {
    const { limits, syscalls, random, unpacking } = this.#deps;
    const staging = join(this.#directory, 'staging', Buffer.from(random.bytes(8)).toString('hex'));
    try {
      await mkdir(join(staging, 'fs'), { recursive: true, mode: 0o700 });
      // The turn ends before `below` is waited for: layers under this one need a turn of their own.
      const unpacked = await unpacking.run(() => unpackLayer(source, join(staging, 'fs'), { limits, syscalls, signal }), signal);
      if (unpacked.diffID !== diffID) throw new DigestMismatchError('unpacked layer', diffID, unpacked.diffID);
      const implied = await attributesBelow(unpacked.impliedDirectories, await below());
      signal.throwIfAborted();
      await applyAttributes(join(staging, 'fs'), implied);
      const { bytes, inodes } = unpacked;
      const layer: Layer = { name: nameOf(diffID, implied), diffID, bytes, inodes, implied };
      await writeDurably(join(staging, 'layer.json'), JSON.stringify({ diffID, bytes, inodes, implied }));
      await this.#publish(staging, layer);
      return layer;
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      throw error;
    }
  }

  /** Takes a layer away: from sight at once, from the disk before this resolves. */
  async remove(name: string): Promise<void> {
    this.#layers.delete(name);
    const doomed = join(this.#directory, 'staging', `${name}-${Buffer.from(this.#deps.random.bytes(4)).toString('hex')}`);
    try {
      await rename(join(this.#directory, 'layers', name), doomed);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return;
      throw error;
    }
    await rm(doomed, { recursive: true, force: true });
  }

  async #publish(staging: string, layer: Layer): Promise<void> {
    // The rename may reach the disk before the files do; after a power cut the layer would be whole and its files empty.
    const handle = await open(staging, 'r');
    try {
      await this.#deps.syscalls.syncfs(handle.fd);
    } finally {
      await handle.close();
    }
    const target = join(this.#directory, 'layers', layer.name);
    const namesake = this.#layers.get(layer.name);
    if (namesake !== undefined && namesake.diffID !== layer.diffID)
      throw new DigestMismatchError('layer of the same short name', layer.diffID, namesake.diffID);
    if (await isThere(target)) await rm(staging, { recursive: true, force: true });
    else await rename(staging, target);
    await syncDirectory(join(this.#directory, 'layers'));
    this.#layers.set(layer.name, layer);
  }
}

/** Short, since all of an image's directories must fit in one mount option of a page. 128 bits keep layers apart; `layer.json` has the whole. */
function nameOf(diffID: Digest, implied: readonly DirectoryAttributes[]): string {
  const short = diffID.slice(diffID.indexOf(':') + 1, diffID.indexOf(':') + 33);
  const variant = variantOf(implied);
  return variant === '' ? short : `${short}-${variant}`;
}

/** '' for what directories get when no layer below says otherwise. */
function variantOf(implied: readonly DirectoryAttributes[]): string {
  const unusual = implied.filter(({ mode, uid, gid }) => mode !== 0o755 || uid !== 0 || gid !== 0);
  if (unusual.length === 0) return '';
  const facts = unusual.map(({ path, mode, uid, gid }) => [path, mode, uid, gid]);
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 8);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}
