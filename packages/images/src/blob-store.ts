import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '@dure/foundation';
import { type Digest, Digester, digestOf, splitDigest } from './digest.ts';
import { readIfPresent, syncDirectory, writeDurably } from './durable-file.ts';
import { DigestMismatchError } from './errors.ts';

const READ_BYTES = 1024 * 1024;
const PARTS = ['blobs/sha256', 'blobs/sha512', 'partial'] as const;

/**
 * Verified bytes by digest (`blobs/<algorithm>/<hex>`), and beside them those still arriving (`partial/<algorithm>-<hex>`), which
 * outlive the process so that a download goes on where it was cut off. A blob is visible only whole.
 */
export class BlobStore {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<BlobStore> {
    for (const part of PARTS) await mkdir(join(directory, part), { recursive: true, mode: 0o700 });
    return new BlobStore(directory);
  }

  /** Its length, `undefined` if it is not here. */
  async size(digest: Digest): Promise<number | undefined> {
    return sizeOf(this.#path(digest));
  }

  /** All of a small blob, `undefined` if it is not here. */
  read(digest: Digest): Promise<Buffer | undefined> {
    return readIfPresent(this.#path(digest));
  }

  stream(digest: Digest): AsyncIterable<Buffer> {
    return createReadStream(this.#path(digest), { highWaterMark: READ_BYTES });
  }

  /** Takes in a small blob. @throws {DigestMismatchError} */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const actual = digestOf(bytes, splitDigest(digest).algorithm);
    if (actual !== digest) throw new DigestMismatchError(`blob of ${bytes.length} bytes`, digest, actual);
    if ((await this.size(digest)) === bytes.length) return;
    await writeDurably(this.#path(digest), bytes);
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  /** Digests of the whole blobs, in no order. */
  async list(): Promise<readonly Digest[]> {
    const lists = await Promise.all(
      ['sha256', 'sha512'].map(async (algorithm) => {
        const names = await readdir(join(this.#directory, 'blobs', algorithm));
        return names.filter((name) => !name.endsWith('.new')).map((hex) => `${algorithm}:${hex}`);
      }),
    );
    return lists.flat();
  }

  /** Removes partial downloads, and what a crash left half written, if last touched before `wallMs`. */
  async sweepPartial(wallMs: number): Promise<void> {
    for (const part of PARTS) {
      for (const name of await readdir(join(this.#directory, part))) {
        const path = join(this.#directory, part, name);
        if (part !== 'partial' && !name.endsWith('.new')) continue;
        if ((await stat(path)).mtimeMs < wallMs) await rm(path, { force: true });
      }
    }
  }

  /** What blobs, whole and partial, take. */
  async usage(): Promise<{ readonly bytes: number; readonly files: number }> {
    let bytes = 0;
    let files = 0;
    for (const part of PARTS) {
      for (const name of await readdir(join(this.#directory, part))) {
        bytes += (await sizeOf(join(this.#directory, part, name))) ?? 0;
        files += 1;
      }
    }
    return { bytes, files };
  }

  /** When the blob arrived: wall time in milliseconds, 0 if it is not here. */
  async arrivedAt(digest: Digest): Promise<number> {
    try {
      return (await stat(this.#path(digest))).mtimeMs;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  /** Goes on with the download of `digest`, or begins it. One at a time per digest; close it. */
  async resume(digest: Digest): Promise<PartialBlob> {
    const { algorithm, hex } = splitDigest(digest);
    return PartialBlob.open(join(this.#directory, 'partial', `${algorithm}-${hex}`), this.#path(digest), digest);
  }

  #path(digest: Digest): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.#directory, 'blobs', algorithm, hex);
  }
}

/** A blob that is still arriving. */
export class PartialBlob {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #target: string;
  readonly #digest: Digest;
  #digester: Digester;
  #sizeBytes: number;

  private constructor(file: FileHandle, paths: { readonly path: string; readonly target: string }, digest: Digest) {
    this.#file = file;
    this.#path = paths.path;
    this.#target = paths.target;
    this.#digest = digest;
    this.#digester = new Digester(splitDigest(digest).algorithm);
    this.#sizeBytes = 0;
  }

  static async open(path: string, target: string, digest: Digest): Promise<PartialBlob> {
    const file = await open(path, 'a+', 0o600);
    const partial = new PartialBlob(file, { path, target }, digest);
    try {
      await partial.#rehash();
    } catch (error) {
      await file.close();
      throw error;
    }
    return partial;
  }

  /** Bytes here so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#digester.update(chunk);
    for (let at = 0; at < chunk.length; ) at += (await this.#file.write(chunk, at)).bytesWritten;
    this.#sizeBytes += chunk.length;
  }

  /** Forgets what is here. */
  async restart(): Promise<void> {
    await this.#file.truncate(0);
    this.#digester = new Digester(splitDigest(this.#digest).algorithm);
    this.#sizeBytes = 0;
  }

  /** Makes it a blob of the store. Call last, before `close`. @throws {DigestMismatchError} and forgets what is here. */
  async complete(): Promise<void> {
    const actual = this.#digester.digest();
    if (actual !== this.#digest) {
      await this.restart();
      throw new DigestMismatchError('downloaded blob', this.#digest, actual);
    }
    await this.#file.sync();
    await rename(this.#path, this.#target);
    await syncDirectory(join(this.#target, '..'));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #rehash(): Promise<void> {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#sizeBytes);
      if (bytesRead === 0) return;
      this.#digester.update(buffer.subarray(0, bytesRead));
      this.#sizeBytes += bytesRead;
    }
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
