import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { digestOf } from '../digest.ts';
import { type RawMember, tarBytes } from './tar-bytes.ts';

/** Answers a request instead of the registry when it returns true. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface FakeImageOptions {
  /** Lowest first, each an archive's members or a blob as it is. */
  readonly layers: readonly (readonly RawMember[] | Buffer)[];
  readonly architecture?: string;
  readonly os?: string;
  /** Claims other diffIDs than the layers have. */
  readonly diffIDs?: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface FakeImage {
  readonly manifest: Buffer;
  readonly manifestDigest: string;
  readonly id: string;
  readonly layerDigests: readonly string[];
  readonly diffIDs: readonly string[];
}

/** A registry of a few lines in this process, for the faults that a real one cannot be asked for. */
export class FakeRegistry implements AsyncDisposable {
  readonly blobs = new Map<string, Buffer>();
  /** By `repository:reference`; media type and bytes. */
  readonly manifests = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  /** `GET path` of every request, in order, with its Range and Authorization. */
  readonly requests: { readonly path: string; readonly range: string | undefined; readonly authorization: string | undefined }[] = [];
  misbehave: Misbehaviour = () => false;
  readonly #server = createServer((request, response) => this.#answer(request, response));

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Paths asked for that contain `part`. */
  asked(part: string): readonly string[] {
    return this.requests.map(({ path }) => path).filter((path) => path.includes(part));
  }

  /** Makes an image and serves it as `repository:tag` and by its digest. */
  add(name: string, options: FakeImageOptions): FakeImage {
    const [repository = '', tag = 'latest'] = name.split(':');
    const archives = options.layers.map((layer) => (Buffer.isBuffer(layer) ? layer : tarBytes(layer)));
    const blobs = archives.map((archive, at) => (Buffer.isBuffer(options.layers[at]) ? archive : gzipSync(archive)));
    const diffIDs = options.diffIDs ?? archives.map((archive) => digestOf(archive));
    const config = Buffer.from(
      JSON.stringify({
        os: options.os ?? 'linux',
        architecture: options.architecture ?? 'amd64',
        config: options.config ?? {},
        rootfs: { type: 'layers', diff_ids: diffIDs },
      }),
    );
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: type,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
        layers: blobs.map((blob) => ({
          mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
          digest: digestOf(blob),
          size: blob.length,
        })),
      }),
    );
    for (const blob of [config, ...blobs]) this.blobs.set(digestOf(blob), blob);
    this.putManifest(repository, tag, type, manifest);
    return {
      manifest,
      manifestDigest: digestOf(manifest),
      id: digestOf(config),
      layerDigests: blobs.map((blob) => digestOf(blob)),
      diffIDs,
    };
  }

  putManifest(repository: string, tag: string, type: string, bytes: Buffer): void {
    for (const reference of [tag, digestOf(bytes)]) this.manifests.set(`${repository}:${reference}`, { type, bytes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.requests.push({ path, range: request.headers.range, authorization: request.headers.authorization });
    if (this.misbehave(request, response)) return;
    const [, repository = '', kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    if (kind === 'manifests') {
      const manifest = this.manifests.get(`${repository}:${reference}`);
      if (manifest === undefined) fail(response, 404, 'MANIFEST_UNKNOWN');
      else response.writeHead(200, { 'content-type': manifest.type }).end(manifest.bytes);
      return;
    }
    const blob = this.blobs.get(reference);
    if (blob === undefined) fail(response, 404, 'BLOB_UNKNOWN');
    else sendBlob(request, response, blob);
  }
}

/** Answers with an error as registries word it. */
export function fail(response: ServerResponse, status: number, code: string, headers: Readonly<Record<string, string>> = {}): void {
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify({ errors: [{ code, message: `fake ${code}` }] }));
}

/** Answers with a blob, or with the part of it that was asked for. */
export function sendBlob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start === 0) response.writeHead(200, { 'content-length': blob.length }).end(blob);
  else
    response
      .writeHead(206, { 'content-length': blob.length - start, 'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}` })
      .end(blob.subarray(start));
}
