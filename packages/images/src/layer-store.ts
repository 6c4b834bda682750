import { createHash } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode, type Logger, type Random } from '@dure/foundation';
import type { Digest } from './digest.ts';
import { parseOwn, readIfPresent } from './durable-file.ts';
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
  /** Changes with each start of the machine. */
  readonly bootID: string;
  readonly log: Logger;
}

/** `layer.json`. */
interface LayerFile extends Omit<Layer, 'name'> {
  readonly bootID: string;
}

/** In a layer's directory, once all of it is on disk. */
const ON_DISK = 'on-disk';

/**
 * Unpacked layers (`layers/<name>/fs` with `layer.json` beside it), shared by all images that have them.
 *
 * A layer may leave directories undescribed (`./`, or `usr/` when it only brings `usr/bin/x`). An overlay shows the topmost description, so such
 * a directory must repeat what the layers below say. Hence one layer can exist in variants, one for each answer from below; nearly all have one.
 *
 * Nobody waits for the disk: a new layer may be used at once, and is marked once it is on disk. After a power cut, files of a layer without
 * the mark may be empty, so {@link LayerStore.open} drops layers that were neither marked nor made since the machine started.
 */
export class LayerStore implements AsyncDisposable {
  readonly #directory: string;
  readonly #deps: LayerStoreDeps;
  readonly #layers = new Map<string, Layer>();
  readonly #unsynced = new Set<string>();
  #syncing: Promise<void> | undefined;

  private constructor(directory: string, deps: LayerStoreDeps) {
    this.#directory = directory;
    this.#deps = deps;
  }

  /** Also removes what a killed process left half unpacked or half removed. */
  static async open(directory: string, deps: LayerStoreDeps): Promise<LayerStore> {
    const store = new LayerStore(directory, deps);
    await rm(join(directory, 'staging'), { recursive: true, force: true });
    for (const part of ['layers', 'staging']) await mkdir(join(directory, part), { recursive: true, mode: 0o700 });
    for (const name of await readdir(join(directory, 'layers'))) await store.#load(name);
    store.#syncSoon();
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
   * Unpacks a layer; it appears as a whole or not at all.
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
      const file: LayerFile = { diffID, bytes, inodes, implied, bootID: this.#deps.bootID };
      await writeFile(join(staging, 'layer.json'), JSON.stringify(file));
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
    const target = join(this.#directory, 'layers', layer.name);
    const namesake = this.#layers.get(layer.name);
    if (namesake !== undefined && namesake.diffID !== layer.diffID)
      throw new DigestMismatchError('layer of the same short name', layer.diffID, namesake.diffID);
    if (await isThere(target)) await rm(staging, { recursive: true, force: true });
    else await rename(staging, target);
    this.#layers.set(layer.name, layer);
    this.#unsynced.add(layer.name);
    this.#syncSoon();
  }

  async #load(name: string): Promise<void> {
    const directory = join(this.#directory, 'layers', name);
    const content = await readIfPresent(join(directory, 'layer.json'));
    const isOnDisk = await isThere(join(directory, ON_DISK));
    const file = content === undefined ? undefined : parseOwn<LayerFile>(content);
    if (file === undefined || (!isOnDisk && file.bootID !== this.#deps.bootID)) {
      this.#deps.log.warn('layer did not reach the disk before the machine stopped, and is dropped', { layer: name });
      await this.remove(name);
      return;
    }
    const { diffID, bytes, inodes, implied } = file;
    this.#layers.set(name, { name, diffID, bytes, inodes, implied });
    if (!isOnDisk) this.#unsynced.add(name);
  }

  /** Marks new layers once they are on disk, all that have come together. */
  #syncSoon(): void {
    if (this.#syncing !== undefined || this.#unsynced.size === 0) return;
    this.#syncing = this.#sync().then(
      () => {
        this.#syncing = undefined;
        this.#syncSoon();
      },
      (error: unknown) => {
        // The layers stay usable until the machine stops; the next layer or the next start tries again.
        this.#syncing = undefined;
        this.#deps.log.warn('layers could not be brought to the disk', { error });
      },
    );
  }

  async #sync(): Promise<void> {
    const names = [...this.#unsynced];
    const handle = await open(join(this.#directory, 'layers'), 'r');
    try {
      await this.#deps.syscalls.syncfs(handle.fd);
    } finally {
      await handle.close();
    }
    for (const name of names) {
      // Removed meanwhile, perhaps.
      if (this.#layers.has(name)) await writeFile(join(this.#directory, 'layers', name, ON_DISK), '').catch(ignoreAbsence);
      this.#unsynced.delete(name);
    }
  }

  /** Resolves when new layers are on disk, or could not be brought there. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
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

function ignoreAbsence(error: unknown): void {
  if (errnoCode(error) !== 'ENOENT') throw error;
}
