import type { Logger } from '@dure/foundation';
import type { BlobStore } from './blob-store.ts';
import type { ImageStatus, PullProgress, RegistryCredentials } from './contract.ts';
import type { Digest } from './digest.ts';
import { ImageNotFoundError, MalformedImageError, PlatformUnavailableError, PullError, RegistryUnauthorizedError } from './errors.ts';
import type { ImageCatalog } from './image-catalog.ts';
import type { LayerDownloads } from './layer-downloads.ts';
import { type LayerStackDeps, stackLayers } from './layer-stack.ts';
import type { Leases } from './leases.ts';
import { type ConfigFile, type Descriptor, DOCUMENT_BYTES_MAX, type Manifest, parseConfigFile, parseManifest } from './manifest.ts';
import { choosePlatform, type Platform, renderPlatform, runsOn } from './platform.ts';
import { type ImageReference, renderReference, repositoryOf } from './reference.ts';
import { RegistryFault } from './registry-fault.ts';
import { RegistrySession, type RegistrySessionDeps } from './registry-session.ts';

export interface PullDeps extends RegistrySessionDeps, LayerStackDeps {
  readonly blobs: BlobStore;
  readonly catalog: ImageCatalog;
  readonly downloads: LayerDownloads;
  readonly leases: Leases;
  readonly platform: Platform;
  readonly log: Logger;
}

export interface Pull {
  readonly reference: ImageReference;
  readonly credentials: readonly RegistryCredentials[];
  readonly onProgress: (progress: PullProgress) => void;
}

/** An index may lead to an index (some build tools nest them), not further. */
const INDEX_DEPTH_MAX = 3;

/** Brings one image here. @throws {RegistryUnauthorizedError} @throws {ImageNotFoundError} @throws {PullError} @throws the signal's reason */
export async function pullImage(pull: Pull, deps: PullDeps, signal: AbortSignal): Promise<ImageStatus> {
  const { reference } = pull;
  const name = renderReference(reference);
  const startMs = deps.clock.monotonicMs();
  const held: (() => void)[] = [];
  const hold = (digest: Digest): void => {
    held.push(deps.leases.hold(digest));
  };
  let layerBlobs: readonly Digest[] = [];
  try {
    const session = new RegistrySession(reference, pull.credentials, deps);
    const resolved = await resolve(session, reference, deps, hold, signal);
    layerBlobs = resolved.manifest.layers.map(({ digest }) => digest);
    const status = await bringLayers(session, resolved, pull, deps, hold, signal);
    deps.log.info('image pulled', { image: name, id: status.id, durationMs: Math.round(deps.clock.monotonicMs() - startMs) });
    for (const release of held.splice(0)) release();
    // Unpacked, a layer is of no more use as a blob: on a small disk it would only take its place twice.
    for (const digest of layerBlobs) await deps.downloads.drop(digest);
    return status;
  } catch (error) {
    signal.throwIfAborted();
    throw promised(error, name, reference);
  } finally {
    for (const release of held.splice(0)) release();
  }
}

interface Resolved {
  /** What the reference named: the index if there is one. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config: ConfigFile;
  /** Manifest documents and the configuration. */
  readonly blobs: readonly Digest[];
}

async function resolve(
  session: RegistrySession,
  reference: ImageReference,
  { blobs, platform }: PullDeps,
  hold: (digest: Digest) => void,
  signal: AbortSignal,
): Promise<Resolved> {
  const kept: Digest[] = [];
  const keep = async (digest: Digest, bytes: Uint8Array): Promise<void> => {
    hold(digest);
    kept.push(digest);
    await blobs.put(digest, bytes);
  };
  let asked = reference.digest ?? reference.tag ?? 'latest';
  for (let depth = 0; depth < INDEX_DEPTH_MAX; depth += 1) {
    const { digest, bytes } = await session.manifest(asked, signal);
    const document = parseManifest(bytes, `manifest ${digest}`);
    await keep(digest, bytes);
    if (document.kind === 'index') {
      asked = choosePlatform(document.manifests, platform).digest;
      continue;
    }
    const config = await fetchConfig(session, document.config, blobs, signal);
    await keep(document.config.digest, config);
    const parsed = parseConfigFile(config, `configuration ${document.config.digest}`);
    if (!runsOn(parsed.platform, platform)) throw new PlatformUnavailableError(renderPlatform(platform), [renderPlatform(parsed.platform)]);
    if (parsed.diffIDs.length !== document.layers.length) {
      throw new MalformedImageError(
        `manifest ${digest}`,
        `it has ${document.layers.length} layers, its configuration ${parsed.diffIDs.length}`,
      );
    }
    return { digest: kept[0] ?? digest, manifest: document, config: parsed, blobs: kept };
  }
  throw new MalformedImageError(`index of ${renderReference(reference)}`, 'it leads to further indexes without end');
}

async function fetchConfig(session: RegistrySession, descriptor: Descriptor, blobs: BlobStore, signal: AbortSignal): Promise<Buffer> {
  if (descriptor.sizeBytes > DOCUMENT_BYTES_MAX) {
    throw new MalformedImageError(
      `configuration ${descriptor.digest}`,
      `it has ${descriptor.sizeBytes} bytes, more than ${DOCUMENT_BYTES_MAX}`,
    );
  }
  await session.blob(descriptor, () => {}, signal);
  const bytes = await blobs.read(descriptor.digest);
  if (bytes === undefined) throw new MalformedImageError(`configuration ${descriptor.digest}`, 'it was removed while it was read');
  return bytes;
}

async function bringLayers(
  session: RegistrySession,
  { digest, manifest, config, blobs }: Resolved,
  { reference, onProgress }: Pull,
  deps: PullDeps,
  hold: (digest: Digest) => void,
  signal: AbortSignal,
): Promise<ImageStatus> {
  const progress = new ProgressCount(manifest.layers, onProgress);
  const wanted = manifest.layers.map((descriptor, at) => {
    const diffID = config.diffIDs[at] ?? '';
    hold(descriptor.digest);
    hold(diffID);
    return {
      diffID,
      onDone: () => progress.done(at),
      fetch: async (shared: AbortSignal) => {
        await deps.downloads.fetch(session, descriptor, (bytesHere) => progress.bytes(at, bytesHere), shared);
        return deps.blobs.stream(descriptor.digest);
      },
    };
  });
  const stack = await stackLayers(wanted, deps, signal);
  const repository = repositoryOf(reference);
  const names = [`${repository}@${digest}`];
  // With both, Docker and containerd take the tag as a comment.
  if (reference.digest === undefined) names.push(renderReference(reference));
  const record = {
    id: manifest.config.digest,
    sizeBytes: manifest.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, manifest.config.sizeBytes),
    config: config.config,
    architecture: config.platform.architecture,
    layers: stack.map((layer) => layer.name).reverse(),
    blobs,
  };
  return deps.catalog.add(record, names);
}

/** Adds up what the layers of one pull report. */
class ProgressCount {
  readonly #layers: readonly Descriptor[];
  readonly #here: number[];
  readonly #onProgress: (progress: PullProgress) => void;
  readonly #bytesTotal: number;
  #layersDone = 0;

  constructor(layers: readonly Descriptor[], onProgress: (progress: PullProgress) => void) {
    this.#layers = layers;
    this.#here = layers.map(() => 0);
    this.#onProgress = onProgress;
    this.#bytesTotal = layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#tell();
  }

  bytes(at: number, bytesHere: number): void {
    this.#here[at] = bytesHere;
    this.#tell();
  }

  done(at: number): void {
    this.#here[at] = this.#layers[at]?.sizeBytes ?? 0;
    this.#layersDone += 1;
    this.#tell();
  }

  #tell(): void {
    const bytesDone = this.#here.reduce((sum, bytes) => sum + bytes, 0);
    this.#onProgress({ layersDone: this.#layersDone, layersTotal: this.#layers.length, bytesDone, bytesTotal: this.#bytesTotal });
  }
}

/** One of the errors that the contract names. */
function promised(error: unknown, name: string, { registry }: ImageReference): Error {
  if (error instanceof RegistryFault && error.kind === 'unauthorized') {
    return new RegistryUnauthorizedError(name, { registry, cause: error });
  }
  if (error instanceof RegistryFault && error.kind === 'missing') return new ImageNotFoundError(name, { registry, cause: error });
  return new PullError(name, { cause: error });
}
