import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent, type Dispatcher, request } from 'undici';
import { type BuiltBlob, type BuiltImage, platformOf } from './image-builder.ts';

export interface PushTarget {
  /** `http://127.0.0.1:5000`. */
  readonly url: string;
  /** `library/web`. */
  readonly repository: string;
  readonly tag: string;
  readonly credentials?: { readonly username: string; readonly password: string };
  /** PEM file to trust. */
  readonly caFile?: string | undefined;
}

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

/** Sends an image to a registry under a tag. @returns The manifest's digest. @throws {Error} with the registry's answer. */
export async function pushImage(image: BuiltImage, target: PushTarget): Promise<string> {
  await using pusher = await Pusher.open(target);
  await pusher.blobsAndManifest(image, target.tag);
  return image.manifest.digest;
}

/** Sends one index over several images of different architectures. @returns The index's digest. */
export async function pushIndex(images: readonly BuiltImage[], target: PushTarget): Promise<string> {
  await using pusher = await Pusher.open(target);
  const manifests = [];
  for (const image of images) {
    await pusher.blobsAndManifest(image, image.manifest.digest);
    const { mediaType, digest, size } = image.manifest;
    manifests.push({ mediaType, digest, size, platform: platformOf(image.architecture) });
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }));
  await pusher.document(index, INDEX_TYPE, target.tag);
  return `sha256:${createHash('sha256').update(index).digest('hex')}`;
}

class Pusher implements AsyncDisposable {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: Agent;

  private constructor({ url, repository, credentials }: PushTarget, agent: Agent) {
    this.#base = `${url}/v2/${repository}`;
    const basic = credentials === undefined ? undefined : Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    this.#headers = basic === undefined ? {} : { authorization: `Basic ${basic}` };
    this.#agent = agent;
  }

  static async open(target: PushTarget): Promise<Pusher> {
    const ca = target.caFile === undefined ? undefined : await readFile(target.caFile, 'utf8');
    return new Pusher(target, new Agent(ca === undefined ? {} : { connect: { ca } }));
  }

  async blobsAndManifest(image: BuiltImage, reference: string): Promise<void> {
    for (const blob of [image.config, ...image.layers]) await this.#blob(blob);
    await this.document(await readFile(image.manifest.path), image.manifest.mediaType, reference);
  }

  async document(bytes: Buffer, mediaType: string, reference: string): Promise<void> {
    await this.#send('PUT', `${this.#base}/manifests/${reference}`, 201, { 'content-type': mediaType }, bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.close();
  }

  async #blob({ digest, size, path }: BuiltBlob): Promise<void> {
    const head = await this.#exchange('HEAD', `${this.#base}/blobs/${digest}`, {});
    await head.body.dump();
    if (head.statusCode === 200) return;
    const begun = await this.#send('POST', `${this.#base}/blobs/uploads/`, 202, {});
    const { location } = begun.headers;
    if (typeof location !== 'string') throw new Error(`push to ${this.#base}: the registry names no place for the upload`);
    const upload = new URL(location, this.#base);
    upload.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
    await this.#send('PUT', upload.href, 201, headers, createReadStream(path));
  }

  async #send(
    method: 'POST' | 'PUT',
    url: string,
    expected: number,
    headers: Readonly<Record<string, string>>,
    body?: Buffer | NodeJS.ReadableStream,
  ): Promise<Dispatcher.ResponseData> {
    const response = await this.#exchange(method, url, headers, body);
    const said = await response.body.text();
    if (response.statusCode !== expected) throw new Error(`${method} ${url}: answered ${response.statusCode}, not ${expected}\n${said}`);
    return response;
  }

  #exchange(
    method: 'HEAD' | 'POST' | 'PUT',
    url: string,
    headers: Readonly<Record<string, string>>,
    body?: Buffer | NodeJS.ReadableStream,
  ): Promise<Dispatcher.ResponseData> {
    const payload = body as Dispatcher.DispatchOptions['body'];
    return request(url, {
      method,
      headers: { ...this.#headers, ...headers },
      dispatcher: this.#agent,
      ...(payload === undefined ? {} : { body: payload }),
    });
  }
}
