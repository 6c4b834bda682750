import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { decompress } from './decompression.ts';
import { type Digest, Digester, digestOf, splitDigest } from './digest.ts';
import { DigestMismatchError, ImportError, MalformedImageError, PlatformUnavailableError } from './errors.ts';
import type { PullDeps } from './image-pull.ts';
import { stackLayers } from './layer-stack.ts';
import { type ConfigFile, type Descriptor, DOCUMENT_BYTES_MAX, parseConfigFile, parseJson, parseManifest } from './manifest.ts';
import { choosePlatform, renderPlatform, runsOn } from './platform.ts';
import { parseReference, renderReference, repositoryOf } from './reference.ts';
import { TarReader } from './tar-reader.ts';

const MEMBERS_MAX = 100_000;
const SYMLINKS_MAX = 10;
/** Where an image goes that its archive does not name. */
const NAMELESS_REPOSITORY = 'localhost/imported';

/**
 * Takes in every image of an archive that suits this machine: an OCI layout (`index.json`) or what `docker save` writes (`manifest.json`), as
 * tar, plain or compressed. All layers are verified before the first image gets a name.
 * @returns Fully qualified names. @throws {ImportError}
 */
export async function importImages(path: string, directory: string, deps: PullDeps, signal: AbortSignal): Promise<readonly string[]> {
  const spool = join(directory, 'staging', `import-${Buffer.from(deps.random.bytes(8)).toString('hex')}`);
  try {
    await mkdir(spool, { mode: 0o700 });
    const archive = await SpooledArchive.read(path, spool, signal);
    const images = archive.has('manifest.json') ? await dockerImages(archive) : await layoutImages(archive, deps);
    if (images.length === 0) throw new MalformedImageError('archive', 'it holds no image');
    const names: string[] = [];
    for (const image of images) names.push(...(await takeIn(image, archive, deps, signal)));
    deps.log.info('images imported', { path, images: names });
    return names;
  } catch (error) {
    signal.throwIfAborted();
    throw new ImportError(path, { cause: error });
  } finally {
    await rm(spool, { recursive: true, force: true });
  }
}

interface ArchivedImage {
  readonly names: readonly string[];
  readonly configBytes: Buffer;
  readonly config: ConfigFile;
  readonly id: Digest;
  readonly sizeBytes: number;
  /** Documents to keep besides the configuration. */
  readonly documents: readonly Buffer[];
  /** Members, lowest first. */
  readonly layers: readonly string[];
}

async function takeIn(image: ArchivedImage, archive: SpooledArchive, deps: PullDeps, signal: AbortSignal): Promise<readonly string[]> {
  const { id, config, sizeBytes } = image;
  if (!runsOn(config.platform, deps.platform))
    throw new PlatformUnavailableError(renderPlatform(deps.platform), [renderPlatform(config.platform)]);
  if (config.diffIDs.length !== image.layers.length) {
    throw new MalformedImageError(`configuration ${id}`, `it has ${config.diffIDs.length} layers, its manifest ${image.layers.length}`);
  }
  const held = config.diffIDs.map((diffID) => deps.leases.hold(diffID));
  try {
    const wanted = config.diffIDs.map((diffID, at) => ({
      diffID,
      fetch: async () => archive.stream(image.layers[at] ?? ''),
      onDone: () => {},
    }));
    const stack = await stackLayers(wanted, deps, signal);
    const blobs: Digest[] = [];
    for (const bytes of [image.configBytes, ...image.documents]) {
      const digest = digestOf(bytes);
      held.push(deps.leases.hold(digest));
      await deps.blobs.put(digest, bytes);
      blobs.push(digest);
    }
    const layers = stack.map(({ name }) => name).reverse();
    await deps.catalog.add(
      { id, sizeBytes, config: config.config, architecture: config.platform.architecture, layers, blobs },
      image.names,
    );
    return image.names;
  } finally {
    for (const release of held) release();
  }
}

/** What `docker save` wrote. */
async function dockerImages(archive: SpooledArchive): Promise<readonly ArchivedImage[]> {
  const list = parseJson(await archive.document('manifest.json'), 'manifest.json');
  if (!Array.isArray(list)) throw new MalformedImageError('manifest.json', 'it is no list');
  const images: ArchivedImage[] = [];
  for (const entry of list as readonly unknown[]) {
    const {
      Config: configName,
      Layers: layers,
      RepoTags: tags,
    } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
    if (typeof configName !== 'string' || !isTextList(layers))
      throw new MalformedImageError('manifest.json', 'an image lacks Config or Layers');
    const configBytes = await archive.document(configName);
    const id = digestOf(configBytes);
    const names = isTextList(tags) ? tags.map((tag) => renderReference(parseReference(tag))) : [];
    images.push({
      names: names.length > 0 ? names : [`${NAMELESS_REPOSITORY}@${id}`],
      configBytes,
      config: parseConfigFile(configBytes, configName),
      id,
      sizeBytes: layers.reduce((sum, layer) => sum + archive.sizeOf(layer), configBytes.length),
      documents: [],
      layers,
    });
  }
  return images;
}

/** An OCI image layout. @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
async function layoutImages(archive: SpooledArchive, { platform }: PullDeps): Promise<readonly ArchivedImage[]> {
  const index = parseManifest(await archive.document('index.json'), 'index.json');
  if (index.kind !== 'index') throw new MalformedImageError('index.json', 'it is no index');
  const images: ArchivedImage[] = [];
  for (const top of index.manifests) {
    const documents: Buffer[] = [];
    let descriptor = top;
    let document = parseManifest(await blob(archive, descriptor), descriptor.digest);
    for (let depth = 0; document.kind === 'index' && depth < 2; depth += 1) {
      documents.push(await blob(archive, descriptor));
      descriptor = choosePlatform(document.manifests, platform);
      document = parseManifest(await blob(archive, descriptor), descriptor.digest);
    }
    if (document.kind === 'index') throw new MalformedImageError('index.json', 'it leads to further indexes without end');
    documents.push(await blob(archive, descriptor));
    const configBytes = await blob(archive, document.config);
    const id = document.config.digest;
    for (const layer of document.layers) archive.verify(memberOf(layer.digest), layer.digest);
    images.push({
      names: layoutNames(top),
      configBytes,
      config: parseConfigFile(configBytes, `configuration ${id}`),
      id,
      sizeBytes: document.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, configBytes.length),
      documents,
      layers: document.layers.map(({ digest }) => memberOf(digest)),
    });
  }
  return images;
}

function layoutNames({ digest, annotations }: Descriptor): readonly string[] {
  const full = annotations['io.containerd.image.name'];
  const short = annotations['org.opencontainers.image.ref.name'];
  // The standard's own annotation is often just a tag, which names no repository.
  const text = full ?? (short !== undefined && /[/:]/.test(short) ? short : undefined);
  if (text === undefined) return [`${NAMELESS_REPOSITORY}@${digest}`];
  const reference = parseReference(text);
  return [renderReference(reference), `${repositoryOf(reference)}@${digest}`];
}

async function blob(archive: SpooledArchive, { digest }: Descriptor): Promise<Buffer> {
  archive.verify(memberOf(digest), digest);
  return archive.document(memberOf(digest));
}

function memberOf(digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}

interface Member {
  readonly file: string;
  readonly sizeBytes: number;
  readonly digest: Digest;
}

/** An archive's files under numbers of our own, so that no name of its reaches the file system. */
class SpooledArchive {
  readonly #members = new Map<string, Member>();
  readonly #links = new Map<string, string>();

  static async read(path: string, spool: string, signal: AbortSignal): Promise<SpooledArchive> {
    const archive = new SpooledArchive();
    const reader = new TarReader(decompress(createReadStream(path, { highWaterMark: 1024 * 1024 })));
    try {
      let count = 0;
      for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
        signal.throwIfAborted();
        count += 1;
        if (count > MEMBERS_MAX) throw new MalformedImageError('archive', `it has more than ${MEMBERS_MAX} members`);
        const name = normal(entry.name);
        if (entry.kind === 'symlink') archive.#links.set(name, normal(join(name, '..', entry.linkName)));
        if (entry.kind === 'hardlink') archive.#links.set(name, normal(entry.linkName));
        if (entry.kind !== 'file') continue;
        const file = join(spool, String(count));
        archive.#members.set(name, { file, sizeBytes: entry.sizeBytes, digest: await spoolMember(reader, file, signal) });
      }
    } finally {
      await reader.close();
    }
    return archive;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  sizeOf(name: string): number {
    return this.#member(name).sizeBytes;
  }

  stream(name: string): AsyncIterable<Buffer> {
    return createReadStream(this.#member(name).file, { highWaterMark: 1024 * 1024 });
  }

  async document(name: string): Promise<Buffer> {
    const { file, sizeBytes } = this.#member(name);
    if (sizeBytes > DOCUMENT_BYTES_MAX) throw new MalformedImageError(name, `it has ${sizeBytes} bytes, more than ${DOCUMENT_BYTES_MAX}`);
    return readFile(file);
  }

  /** @throws {DigestMismatchError} Only sha256 names content of archives. */
  verify(name: string, digest: Digest): void {
    const { digest: actual } = this.#member(name);
    if (actual !== digest) throw new DigestMismatchError(name, digest, actual);
  }

  #member(name: string): Member {
    const member = this.#find(name);
    if (member === undefined) throw new MalformedImageError('archive', `it lacks ${name}`);
    return member;
  }

  #find(name: string): Member | undefined {
    let at: string | undefined = normal(name);
    for (let hops = 0; at !== undefined && hops < SYMLINKS_MAX; hops += 1) {
      const member = this.#members.get(at);
      if (member !== undefined) return member;
      at = this.#links.get(at);
    }
    return undefined;
  }
}

async function spoolMember(reader: TarReader, file: string, signal: AbortSignal): Promise<Digest> {
  const digester = new Digester();
  const handle = await open(file, 'wx', 0o600);
  try {
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
      signal.throwIfAborted();
      digester.update(piece);
      await handle.writeFile(piece);
    }
  } finally {
    await handle.close();
  }
  return digester.digest();
}

function normal(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
