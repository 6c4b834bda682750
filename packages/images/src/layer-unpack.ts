import {
  chmod,
  chown,
  close,
  constants,
  fchmod,
  fchown,
  futimes,
  lchown,
  link,
  lutimes,
  mkdir,
  open,
  rm,
  symlink,
  utimes,
  write,
} from 'node:fs';
import { promisify } from 'node:util';
import { errnoCode } from '@dure/foundation';
import { decompress } from './decompression.ts';
import { type Digest, Digester } from './digest.ts';
import { LayerRejectedError } from './errors.ts';
import { Lanes } from './lanes.ts';
import { type DirectoryNode, type LayerNode, LayerTree, type Place, show } from './layer-tree.ts';
import { S_IFCHR, S_IFIFO, type Syscalls } from './syscalls.ts';
import { type TarEntry, TarReader } from './tar-reader.ts';

/** Bounds one layer, since its author is not trusted. */
export interface LayerLimits {
  /** Uncompressed length of the archive. */
  readonly bytesMax: number;
  /** Members of the archive. */
  readonly entriesMax: number;
}

/** What came of a layer. */
export interface UnpackedLayer {
  readonly diffID: Digest;
  /** Content of its files. */
  readonly bytes: number;
  readonly inodes: number;
  /** Directories that the archive does not describe but needs, outermost first, `''` for the root. Made as root's, 0755. */
  readonly impliedDirectories: readonly string[];
}

const fs = {
  chmod: promisify(chmod),
  chown: promisify(chown),
  close: promisify(close),
  fchmod: promisify(fchmod),
  fchown: promisify(fchown),
  futimes: promisify(futimes),
  lchown: promisify(lchown),
  link: promisify(link),
  lutimes: promisify(lutimes),
  mkdir: promisify(mkdir),
  open: promisify(open),
  rm: promisify(rm),
  symlink: promisify(symlink),
  utimes: promisify(utimes),
  write: promisify(write),
};

/** Files up to this length are written by several lanes at once; longer ones stream through one chunk after the other. */
const SMALL_FILE_BYTES_MAX = 1024 * 1024;
/** The pool behind file calls has 4 threads, 16 in the agent: more lanes would only wait there. */
const LANES_MAX = 16;
const LANE_BYTES_MAX = 16 * 1024 * 1024;
const TURN_BYTES = 4 * 1024 * 1024;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** 2514: past what file systems store. Archives claim any time. */
const MTIME_SECONDS_MAX = 2 ** 34;
const ID_MAX = 2 ** 32 - 2;

const WHITEOUT_PREFIX = '.wh.';
const OPAQUE_MARKER = '.wh..wh..opq';
const AUFS_PREFIX = '.wh..wh.';

/**
 * Unpacks one layer's archive into the empty directory `root`, in the form that overlayfs stacks: a whiteout becomes a character device 0/0,
 * an opaque directory gets `trusted.overlay.opaque`. Needs root. On failure `root` holds rubbish, which the caller removes.
 * @param source The layer's blob, gzip, zstd or plain. @throws {LayerRejectedError} The archive is hostile, damaged or too large.
 */
export async function unpackLayer(
  source: AsyncIterable<Uint8Array>,
  root: string,
  { limits, syscalls, signal }: { readonly limits: LayerLimits; readonly syscalls: Syscalls; readonly signal: AbortSignal },
): Promise<UnpackedLayer> {
  const digester = new Digester();
  const reader = new TarReader(measured(decompress(source), digester, limits.bytesMax, signal));
  const unpacking = new Unpacking(root, syscalls, reader);
  try {
    let entries = 0;
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      signal.throwIfAborted();
      entries += 1;
      if (entries > limits.entriesMax) throw new LayerRejectedError(`more than ${limits.entriesMax} members`);
      await unpacking.add(entry);
    }
    await unpacking.finish();
    await reader.drain();
    return { diffID: digester.digest(), ...unpacking.result() };
  } catch (error) {
    if (errnoCode(error) === 'ENAMETOOLONG') throw new LayerRejectedError('a path is too long for the file system', { cause: error });
    throw error;
  } finally {
    await unpacking.settle();
    await reader.close();
  }
}

/** Passes chunks on, hashed and counted. */
async function* measured(
  source: AsyncIterable<Uint8Array>,
  digester: Digester,
  bytesMax: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  let sinceTurn = 0;
  for await (const chunk of source) {
    signal.throwIfAborted();
    bytes += chunk.length;
    if (bytes > bytesMax) throw new LayerRejectedError(`unpacked it is larger than the configured ${bytesMax} bytes`);
    digester.update(chunk);
    yield chunk;
    sinceTurn += chunk.length;
    if (sinceTurn < TURN_BYTES) continue;
    // Content that is passed over costs no input or output, and a bomb could then hold the loop for seconds.
    sinceTurn = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** What the archive said about a directory; applied at the end, since every file made in it moves its mtime. */
type Described = Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtimeSeconds' | 'xattrs'>;

class Unpacking {
  readonly #root: string;
  readonly #syscalls: Syscalls;
  readonly #reader: TarReader;
  readonly #tree = new LayerTree();
  readonly #lanes = new Lanes({ countMax: LANES_MAX, bytesMax: LANE_BYTES_MAX });
  /** Files whose content is not on disk yet. */
  readonly #pending = new Map<LayerNode, Promise<void>>();
  readonly #described = new Map<DirectoryNode, Described>();
  readonly #implied = new Set<DirectoryNode>();
  readonly #opaque = new Set<DirectoryNode>();
  #bytes = 0;
  #inodes = 1;

  constructor(root: string, syscalls: Syscalls, reader: TarReader) {
    this.#root = Buffer.from(root, 'utf8').toString('latin1');
    this.#syscalls = syscalls;
    this.#reader = reader;
    this.#implied.add(this.#tree.root);
  }

  async add(entry: TarEntry): Promise<void> {
    for (const id of [entry.uid, entry.gid]) {
      if (!Number.isInteger(id) || id < 0 || id > ID_MAX)
        throw new LayerRejectedError(`${show(entry.name)} belongs to the impossible id ${id}`);
    }
    const place = await this.#tree.place(entry.name, (above) => this.#makeImplied(above));
    if (place === undefined) {
      if (entry.kind !== 'directory') throw new LayerRejectedError(`the root is a ${entry.kind}`);
      this.#describe(this.#tree.root, entry);
      return;
    }
    if (place.base.startsWith(WHITEOUT_PREFIX)) {
      await this.#addWhiteout(place);
      return;
    }
    switch (entry.kind) {
      case 'directory':
        await this.#addDirectory(place, entry);
        return;
      case 'file':
        await this.#addFile(place, entry);
        return;
      case 'symlink':
        await this.#addSymlink(place, entry);
        return;
      case 'hardlink':
        await this.#addHardlink(place, entry);
        return;
      case 'fifo':
        await this.#replace(place, { kind: 'fifo', path: place.path });
        this.#syscalls.mknod(this.#at(place.path), S_IFIFO | 0o600, 0, 0);
        await this.#finishPath(place.path, entry);
        return;
      case 'char':
      case 'block':
        // A container's /dev is made by the runtime and all else is mounted nodev: an image's device nodes serve nobody but an attacker.
        await this.#replace(place, { kind: 'skipped', path: place.path });
        this.#inodes -= 1;
    }
  }

  /** Ends the layer: waits for its files, then gives every directory what was said about it. */
  async finish(): Promise<void> {
    await this.#lanes.drain();
    for (const directory of this.#opaque) this.#syscalls.lsetxattr(this.#at(directory.path), 'trusted.overlay.opaque', Buffer.from('y'));
    for (const directory of this.#implied) await this.#lanes.start(0, () => fs.chmod(this.#at(directory.path), 0o755));
    for (const [directory, described] of this.#described) {
      await this.#lanes.start(0, async () => {
        const path = this.#at(directory.path);
        if (described.uid !== 0 || described.gid !== 0) await fs.chown(path, described.uid, described.gid);
        await fs.chmod(path, described.mode);
        this.#setXattrs(path, described.xattrs);
        const mtime = mtimeOf(described);
        await fs.utimes(path, mtime, mtime);
      });
    }
    await this.#lanes.drain();
  }

  /** Resolves when nothing writes below the root any more. */
  settle(): Promise<void> {
    return this.#lanes.settle();
  }

  result(): Omit<UnpackedLayer, 'diffID'> {
    return { bytes: this.#bytes, inodes: this.#inodes, impliedDirectories: [...this.#implied].map(({ path }) => path) };
  }

  async #addDirectory(place: Place, entry: TarEntry): Promise<void> {
    const existing = place.parent.children.get(place.base);
    this.#describe(existing?.kind === 'directory' ? existing : await this.#makeDirectory(place), entry);
  }

  async #addFile(place: Place, entry: TarEntry): Promise<void> {
    const node: LayerNode = { kind: 'file', path: place.path };
    await this.#replace(place, node);
    this.#bytes += entry.sizeBytes;
    const path = this.#at(place.path);
    if (entry.sizeBytes > SMALL_FILE_BYTES_MAX) {
      await this.#writeFile(path, entry, async (fd) => {
        for (let piece = await this.#reader.read(); piece !== undefined; piece = await this.#reader.read()) await writeAll(fd, piece);
      });
      return;
    }
    const content = await this.#reader.readAll();
    const { done } = await this.#lanes.start(content.length, () => this.#writeFile(path, entry, (fd) => writeAll(fd, content)));
    this.#pending.set(node, done);
    void done.then(() => this.#pending.delete(node));
  }

  async #writeFile(path: Buffer, entry: TarEntry, fill: (fd: number) => Promise<void>): Promise<void> {
    const fd = await fs.open(path, CREATE, 0o600);
    try {
      await fill(fd);
      // Owner first: a change of owner takes setuid bits and capabilities away.
      if (entry.uid !== 0 || entry.gid !== 0) await fs.fchown(fd, entry.uid, entry.gid);
      await fs.fchmod(fd, entry.mode);
      this.#setXattrs(path, entry.xattrs);
      const mtime = mtimeOf(entry);
      await fs.futimes(fd, mtime, mtime);
    } finally {
      await fs.close(fd);
    }
  }

  async #addSymlink(place: Place, entry: TarEntry): Promise<void> {
    if (entry.linkName === '' || entry.linkName.includes('\0'))
      throw new LayerRejectedError(`symlink ${show(entry.name)} has no usable target`);
    const node: LayerNode = { kind: 'symlink', path: place.path, target: entry.linkName };
    await this.#replace(place, node);
    const { done } = await this.#lanes.start(0, async () => {
      const path = this.#at(place.path);
      await fs.symlink(Buffer.from(entry.linkName, 'latin1'), path);
      if (entry.uid !== 0 || entry.gid !== 0) await fs.lchown(path, entry.uid, entry.gid);
      const mtime = mtimeOf(entry);
      await fs.lutimes(path, mtime, mtime);
    });
    this.#pending.set(node, done);
    void done.then(() => this.#pending.delete(node));
  }

  async #addHardlink(place: Place, entry: TarEntry): Promise<void> {
    const target = await this.#tree.find(entry.linkName);
    if (target === undefined || target.kind === 'directory' || target.kind === 'whiteout') {
      throw new LayerRejectedError(
        `hard link ${show(entry.name)} points to ${show(entry.linkName)}, which is no file of this layer before it`,
      );
    }
    if (target === place.parent.children.get(place.base)) return;
    await this.#pending.get(target);
    await this.#replace(place, { ...target, path: place.path });
    this.#inodes -= 1;
    if (target.kind !== 'skipped') await fs.link(this.#at(target.path), this.#at(place.path));
  }

  async #addWhiteout(place: Place): Promise<void> {
    if (place.base === OPAQUE_MARKER) {
      this.#opaque.add(place.parent);
      return;
    }
    // AUFS kept its own books under such names.
    if (place.base.startsWith(AUFS_PREFIX)) return;
    const base = place.base.slice(WHITEOUT_PREFIX.length);
    if (base === '' || base === '.' || base === '..') throw new LayerRejectedError(`whiteout ${show(place.path)} names no file`);
    const hidden: Place = { ...place, base, path: place.parent.path === '' ? base : `${place.parent.path}/${base}` };
    const existing = hidden.parent.children.get(base);
    // A whiteout hides what lies in layers below, never what its own layer brings; a directory of ours must then not show theirs through.
    if (existing?.kind === 'directory') this.#opaque.add(existing);
    if (existing !== undefined) return;
    await this.#replace(hidden, { kind: 'whiteout', path: hidden.path });
    this.#syscalls.mknod(this.#at(hidden.path), S_IFCHR, 0, 0);
  }

  async #makeImplied(place: Place): Promise<DirectoryNode> {
    const directory = await this.#makeDirectory(place);
    this.#implied.add(directory);
    return directory;
  }

  async #makeDirectory(place: Place): Promise<DirectoryNode> {
    const covered = place.parent.children.get(place.base);
    const directory: DirectoryNode = { kind: 'directory', path: place.path, children: new Map() };
    await this.#replace(place, directory);
    await fs.mkdir(this.#at(place.path), 0o700);
    // A whiteout stood here: the directory below is gone, and its content must not show through the new one.
    if (covered?.kind === 'whiteout') this.#opaque.add(directory);
    return directory;
  }

  #describe(directory: DirectoryNode, { mode, uid, gid, mtimeSeconds, xattrs }: TarEntry): void {
    this.#implied.delete(directory);
    this.#described.set(directory, { mode, uid, gid, mtimeSeconds, xattrs });
  }

  /** Puts `node` at `place`, after removing what an earlier member left there. */
  async #replace(place: Place, node: LayerNode): Promise<void> {
    const existing = place.parent.children.get(place.base);
    if (existing !== undefined) {
      await this.#lanes.drain();
      this.#forget(existing);
      await fs.rm(this.#at(place.path), { recursive: true, force: true });
    }
    this.#tree.put(place, node);
    this.#inodes += 1;
  }

  #forget(node: LayerNode): void {
    this.#inodes -= 1;
    if (node.kind !== 'directory') return;
    this.#described.delete(node);
    this.#implied.delete(node);
    this.#opaque.delete(node);
    for (const child of node.children.values()) this.#forget(child);
  }

  async #finishPath(path: string, entry: TarEntry): Promise<void> {
    const at = this.#at(path);
    await fs.lchown(at, entry.uid, entry.gid);
    await fs.chmod(at, entry.mode);
    const mtime = mtimeOf(entry);
    await fs.lutimes(at, mtime, mtime);
  }

  #setXattrs(path: Buffer, xattrs: ReadonlyMap<string, Buffer>): void {
    for (const [name, value] of xattrs) {
      if (!isWantedXattr(name)) continue;
      try {
        this.#syscalls.lsetxattr(path, name, value);
      } catch (error) {
        // A file system without such attributes can still run most images; losing a file's capabilities is worth failing for.
        if (name === 'security.capability' || errnoCode(error) !== 'ENOTSUP') throw error;
      }
    }
  }

  #at(path: string): Buffer {
    return Buffer.from(path === '' ? this.#root : `${this.#root}/${path}`, 'latin1');
  }
}

/** Attributes that belong to files. `trusted.*` would let an image steer overlayfs itself (redirects, metacopies); labels are the host's. */
function isWantedXattr(name: string): boolean {
  if (name === 'security.capability') return true;
  if (name.startsWith('user.')) return !name.startsWith('user.overlay.');
  return name === 'system.posix_acl_access' || name === 'system.posix_acl_default';
}

function mtimeOf({ mtimeSeconds }: Pick<TarEntry, 'mtimeSeconds'>): number {
  return Math.min(Math.max(mtimeSeconds, 0), MTIME_SECONDS_MAX);
}

async function writeAll(fd: number, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await fs.write(fd, bytes, at, bytes.length - at)).bytesWritten;
}
