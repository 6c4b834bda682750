import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, chown, copyFile, link, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { cacheDirectory, cachedDirectory, cacheKey } from './cache.ts';
import {
  type Architecture,
  type Distribution,
  downloadClosure,
  hostArchitecture,
  packageOf,
  prepareRoot,
  unpackPackages,
} from './debian.ts';
import { runCommand } from './process.ts';

/** A file of an image. Owner default: root. Mode default: 0644, of directories 0755. */
export type FileRecipe =
  | { readonly kind: 'file'; readonly content: string; readonly mode?: number; readonly uid?: number; readonly gid?: number }
  | { readonly kind: 'directory'; readonly mode?: number; readonly uid?: number; readonly gid?: number }
  | { readonly kind: 'symlink'; readonly target: string };

/** One layer: packages with what they need, less what the layers below hold already, then files over them. */
export interface LayerRecipe {
  readonly packages?: readonly string[];
  /** Take just these paths out of the packages, and to where: `{ '/bin/busybox': '/busybox' }`. Then no other file of theirs comes along. */
  readonly pick?: Readonly<Record<string, string>>;
  /** By absolute path. */
  readonly files?: Readonly<Record<string, FileRecipe>>;
  /** Begin with merged `/usr` and the usual empty directories. Default: true for the lowest layer if it has packages. */
  readonly skeleton?: boolean;
}

export interface ImageRecipe {
  readonly layers: readonly LayerRecipe[];
  readonly config: {
    readonly entrypoint?: readonly string[];
    readonly cmd?: readonly string[];
    readonly env?: readonly string[];
    readonly workingDir?: string;
    readonly user?: string;
    readonly stopSignal?: string;
    readonly exposedPorts?: readonly string[];
    readonly volumes?: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
  };
  /** Default: this machine's. */
  readonly architecture?: Architecture;
  readonly distribution?: Distribution;
}

/** A blob of a built image. */
export interface BuiltBlob {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
  readonly path: string;
}

/** An image on disk as an OCI layout, in the cache. */
export interface BuiltImage {
  /** Holds `oci-layout`, `index.json` and `blobs/`. Do not write to it. */
  readonly directory: string;
  readonly architecture: Architecture;
  readonly manifest: BuiltBlob;
  readonly config: BuiltBlob;
  /** Lowest first. */
  readonly layers: readonly BuiltBlob[];
}

/** Part of every cache key: raise it when the same recipe comes to give other bytes. */
const FORMAT = 4;
/** Nothing in a layer is newer, so that the same recipe gives the same bytes. */
const NEWEST = '2025-01-01 00:00:00Z';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** Packages that only set machines up; with no maintainer script run, they would be dead weight in an image. */
const LEFT_OUT =
  /^(?:adduser|debconf|debconf-i18n|debianutils|dpkg|gcc-\d+-base|init-system-helpers|lsb-base|passwd|perl|perl-base|perl-modules-.*|libperl.*|lib.*-perl|libgdbm.*|libdb5\.3.*|libsemanage.*|libsepol.*|libpam.*|sysvinit-utils|usrmerge|libaudit.*|libcap-ng0|tzdata|ucf|sensible-utils)$/;

/** Needs root (for owners). The same recipe is built once per cache. */
export async function buildImage(recipe: ImageRecipe): Promise<BuiltImage> {
  const { architecture = hostArchitecture(), distribution = 'host' } = recipe;
  const layers = await buildLayers(recipe.layers, { architecture, distribution });
  const config = Buffer.from(JSON.stringify(configDocument(recipe, architecture, layers)));
  const path = join(cacheDirectory(), 'images', cacheKey([FORMAT, config.toString(), layers.map(({ blob }) => blob.digest)]));
  await mkdir(dirname(path), { recursive: true });
  const directory = await cachedDirectory(path, async (temporary) => {
    await mkdir(join(temporary, 'blobs/sha256'), { recursive: true });
    for (const { blob } of layers) await linkOrCopy(blob.path, join(temporary, 'blobs/sha256', blob.digest.slice(7)));
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: descriptor(CONFIG_TYPE, config),
        layers: layers.map(({ blob: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
      }),
    );
    for (const document of [config, manifest]) await writeFile(join(temporary, 'blobs/sha256', sha256(document).slice(7)), document);
    await writeFile(join(temporary, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(join(temporary, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [descriptor(MANIFEST_TYPE, manifest)] }));
  });
  return openLayout(directory, architecture);
}

/** Writes an image as one tar in OCI layout form, named `name`. */
export async function writeLayoutArchive(image: BuiltImage, name: string, path: string): Promise<void> {
  await withCopy(image, path, async (copy) => {
    const { mediaType, digest, size } = image.manifest;
    const annotations = { 'org.opencontainers.image.ref.name': name };
    await writeFile(join(copy, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, digest, size, annotations }] }));
  });
}

/** Writes an image as `docker save` does: layers uncompressed, `manifest.json` on top. */
export async function writeDockerArchive(image: BuiltImage, name: string, path: string): Promise<void> {
  await withCopy(image, path, async (copy) => {
    await rm(join(copy, 'blobs'), { recursive: true });
    await rm(join(copy, 'index.json'));
    await rm(join(copy, 'oci-layout'));
    const layers: string[] = [];
    for (const [at, layer] of image.layers.entries()) {
      await mkdir(join(copy, `layer-${at}`));
      await runCommand('sh', ['-c', 'gzip -dc "$1" > "$2"', 'sh', layer.path, join(copy, `layer-${at}`, 'layer.tar')]);
      layers.push(`layer-${at}/layer.tar`);
    }
    await copyFile(image.config.path, join(copy, 'config.json'));
    await writeFile(join(copy, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: layers }]));
  });
}

interface BuiltLayer {
  readonly blob: BuiltBlob;
  readonly diffID: string;
}

async function buildLayers(
  recipes: readonly LayerRecipe[],
  base: { readonly architecture: Architecture; readonly distribution: Distribution },
): Promise<readonly BuiltLayer[]> {
  const built: BuiltLayer[] = [];
  let below: readonly string[] = [];
  for (const [at, recipe] of recipes.entries()) {
    const { packages = [], pick } = recipe;
    const wanted = packages.length === 0 ? [] : await downloadClosure({ ...base, packages: [...packages] });
    const files = wanted.filter(
      (file) => !below.includes(file) && (pick === undefined ? !LEFT_OUT.test(packageOf(file)) : packages.includes(packageOf(file))),
    );
    const skeleton = recipe.skeleton ?? (at === 0 && packages.length > 0 && pick === undefined);
    const key = cacheKey([FORMAT, recipe, skeleton, base.architecture, files.map((file) => basename(file)).sort()]);
    const path = join(cacheDirectory(), 'layers', key);
    await mkdir(dirname(path), { recursive: true });
    await cachedDirectory(path, (directory) => buildLayer({ recipe, files, skeleton }, directory));
    built.push(
      JSON.parse(await readFile(join(path, 'layer.json'), 'utf8'), (name, value) =>
        name === 'path' ? join(path, 'layer.tar.gz') : value,
      ) as BuiltLayer,
    );
    if (pick === undefined) below = [...below, ...files];
  }
  return built;
}

async function buildLayer(
  { recipe, files, skeleton }: { readonly recipe: LayerRecipe; readonly files: readonly string[]; readonly skeleton: boolean },
  directory: string,
): Promise<void> {
  const root = join(directory, 'root');
  await mkdir(root, { mode: 0o755 });
  if (skeleton) await makeSkeleton(root);
  if (recipe.pick === undefined) {
    // Above a merged root, packages must meet the same links, or their directories would cover them.
    if (!skeleton && files.length > 0) await prepareRoot(root);
    await unpackPackages(files, root);
  } else {
    const unpacked = join(directory, 'unpacked');
    await mkdir(unpacked);
    await prepareRoot(unpacked);
    await unpackPackages(files, unpacked);
    for (const [from, to] of Object.entries(recipe.pick)) {
      await mkdir(dirname(join(root, to)), { recursive: true });
      await runCommand('cp', ['-a', join(unpacked, from), join(root, to)]);
    }
    await rm(unpacked, { recursive: true });
  }
  for (const [path, file] of Object.entries(recipe.files ?? {})) await makeFile(root, path, file);

  const tar = join(directory, 'layer.tar');
  const stable = ['--sort=name', '--numeric-owner', '--format=pax', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'];
  await runCommand('tar', ['-c', ...stable, `--mtime=${NEWEST}`, '--clamp-mtime', '--xattrs', '-f', tar, '-C', root, '.']);
  await rm(root, { recursive: true, force: true });
  const diffID = await hashFile(tar);
  const compressed = join(directory, 'layer.tar.gz');
  await pipeline(createReadStream(tar), createGzip({ level: 5 }), createWriteStream(compressed));
  await rm(tar);
  const { size } = await stat(compressed);
  const blob = { digest: await hashFile(compressed), size, mediaType: LAYER_TYPE, path: '' };
  await writeFile(join(directory, 'layer.json'), JSON.stringify({ blob, diffID }));
}

/** What packages' maintainer scripts and base-files would have made. */
async function makeSkeleton(root: string): Promise<void> {
  await prepareRoot(root);
  for (const path of [
    'dev',
    'etc',
    'home',
    'mnt',
    'opt',
    'proc',
    'root',
    'run',
    'srv',
    'sys',
    'tmp',
    'var/lib',
    'var/log',
    'var/tmp',
    'var/cache',
  ]) {
    await mkdir(join(root, path), { recursive: true });
  }
  await chmod(join(root, 'root'), 0o700);
  for (const path of ['tmp', 'var/tmp']) await chmod(join(root, path), 0o1777);
}

async function makeFile(root: string, path: string, file: FileRecipe): Promise<void> {
  const at = join(root, path);
  await mkdir(dirname(at), { recursive: true });
  if (file.kind === 'symlink') {
    await rm(at, { force: true });
    await symlink(file.target, at);
    return;
  }
  if (file.kind === 'directory') await mkdir(at, { recursive: true });
  else await writeFile(at, file.content);
  await chown(at, file.uid ?? 0, file.gid ?? 0);
  await chmod(at, file.mode ?? (file.kind === 'directory' ? 0o755 : 0o644));
}

function configDocument({ config }: ImageRecipe, architecture: Architecture, layers: readonly BuiltLayer[]): unknown {
  const { entrypoint, cmd, env, workingDir, user, stopSignal, exposedPorts, volumes, labels } = config;
  return {
    created: '2025-01-01T00:00:00Z',
    ...platformOf(architecture),
    config: {
      Env: env ?? ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
      ...(cmd === undefined ? {} : { Cmd: cmd }),
      ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
      ...(user === undefined ? {} : { User: user }),
      ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
      ...(exposedPorts === undefined ? {} : { ExposedPorts: Object.fromEntries(exposedPorts.map((port) => [port, {}])) }),
      ...(volumes === undefined ? {} : { Volumes: Object.fromEntries(volumes.map((path) => [path, {}])) }),
      ...(labels === undefined ? {} : { Labels: labels }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
  };
}

/** In the words of image indexes. */
export function platformOf(architecture: Architecture): { readonly os: string; readonly architecture: string; readonly variant?: string } {
  return architecture === 'armhf' ? { os: 'linux', architecture: 'arm', variant: 'v7' } : { os: 'linux', architecture };
}

interface ManifestDocument {
  readonly config: { readonly digest: string; readonly size: number };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

async function openLayout(directory: string, architecture: Architecture): Promise<BuiltImage> {
  const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as { manifests: { digest: string; size: number }[] };
  const [top] = index.manifests;
  if (top === undefined) throw new Error(`open image layout ${directory}: its index is empty`);
  const at = ({ digest, size }: { digest: string; size: number }, mediaType: string): BuiltBlob => ({
    ...{ digest, size, mediaType },
    path: join(directory, 'blobs/sha256', digest.slice(7)),
  });
  const manifest = at(top, MANIFEST_TYPE);
  const document = JSON.parse(await readFile(manifest.path, 'utf8')) as ManifestDocument;
  return {
    directory,
    architecture,
    manifest,
    config: at(document.config, CONFIG_TYPE),
    layers: document.layers.map((layer) => at(layer, LAYER_TYPE)),
  };
}

async function withCopy(image: BuiltImage, path: string, change: (copy: string) => Promise<void>): Promise<void> {
  const copy = `${path}.${process.pid}.layout`;
  try {
    await runCommand('cp', ['-a', image.directory, copy]);
    await change(copy);
    await runCommand('tar', ['-c', '--sort=name', '-f', path, '-C', copy, '.']);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

function descriptor(mediaType: string, bytes: Buffer): { readonly mediaType: string; readonly digest: string; readonly size: number } {
  return { mediaType, digest: sha256(bytes), size: bytes.length };
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}
