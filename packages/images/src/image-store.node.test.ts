import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ImageService, PullProgress } from './contract.ts';
import { digestOf } from './digest.ts';
import { ImageNotFoundError, ImportError, InvalidImageNameError, PullError, RegistryUnauthorizedError } from './errors.ts';
import { type ImageStoreOptions, openImageStore } from './image-store.ts';
import { FakeRegistry, fail, sendBlob } from './testing/fake-registry.ts';
import { type RawMember, tarBytes } from './testing/tar-bytes.ts';

const unavailable = process.getuid?.() === 0 ? undefined : 'owners and whiteouts need root';
/** Hard to compress, so that a blob is long enough to be cut in the middle. */
const NOISE = randomBytes(400_000);
const BASE: readonly RawMember[] = [
  { name: './', type: '5', mode: 0o755 },
  { name: 'noise', content: NOISE },
];
const top = (text: string): readonly RawMember[] => [{ name: 'text', content: text }];

describe.skipIf(unavailable !== undefined)(`image store${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let directory = '';
  let registry: FakeRegistry;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), `dure-images-${process.pid}-`));
    registry = await FakeRegistry.start();
  });
  afterEach(async () => {
    await registry[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const open = (options: Partial<ImageStoreOptions> = {}): Promise<ImageService> =>
    openImageStore({
      ...{ directory, log: silentLogger, clock: systemClock, random: systemRandom, platform: { os: 'linux', architecture: 'amd64' } },
      ...{ retry: { triesMax: 3, backoff: { baseMs: 5, maxMs: 20 } }, idleTimeoutMs: 300 },
      ...options,
    });
  const pullError = async (store: ImageService, reference: string): Promise<Error> => {
    const error = await store.pull(reference).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Error);
    return error as Error;
  };
  /** Nothing of a failed pull may be seen. */
  const expectNothingHere = async (store: ImageService): Promise<void> => {
    expect(await store.list()).toEqual([]);
    expect(await readdir(join(directory, 'staging'))).toEqual([]);
  };

  test('pulls, lists by every name, and gives directories that hold what the layers say', async () => {
    const image = registry.add('demo/web:1', {
      layers: [BASE, top('one')],
      config: { Cmd: ['run'], Env: ['A=b'], Labels: { x: 'y' }, ExposedPorts: { '80/tcp': {} } },
    });
    await using store = await open();
    const progress: PullProgress[] = [];
    const status = await store.pull(`${registry.host}/demo/web:1`, { onProgress: (step) => progress.push(step) });
    expect(status).toMatchObject({
      id: image.id,
      tags: [`${registry.host}/demo/web:1`],
      digests: [`${registry.host}/demo/web@${image.manifestDigest}`],
      architecture: 'amd64',
      config: { cmd: ['run'], entrypoint: [], env: ['A=b'], labels: { x: 'y' }, exposedPorts: ['80/tcp'] },
    });
    const [first = '', second = ''] = status.lowerDirs;
    expect(await readFile(join(first, 'text'), 'utf8')).toBe('one');
    expect(await readFile(join(second, 'noise'))).toEqual(NOISE);
    for (const name of [image.id, image.id.slice(7), `${registry.host}/demo/web:1`, `${registry.host}/demo/web@${image.manifestDigest}`]) {
      expect((await store.status(name))?.id).toBe(image.id);
    }
    expect(await store.status('nginx')).toBeUndefined();
    expect(await store.list()).toEqual([status]);
    const last = progress.at(-1);
    expect(last).toEqual({ layersDone: 2, layersTotal: 2, bytesDone: last?.bytesTotal, bytesTotal: last?.bytesTotal });
    expect(progress[0]?.bytesDone).toBe(0);
  });

  test('is all there after it was closed and opened again, without asking the registry for a digest', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const byDigest = `${registry.host}/web@${image.manifestDigest}`;
    {
      await using store = await open();
      await store.pull(`${registry.host}/web:1`);
    }
    await using store = await open();
    const before = registry.requests.length;
    expect((await store.pull(byDigest)).id).toBe(image.id);
    expect(registry.requests.length).toBe(before);
    expect((await store.status(`${registry.host}/web:1`))?.id).toBe(image.id);
  });

  test('fetches a shared layer once, and keeps no compressed copy', async () => {
    const one = registry.add('web:1', { layers: [BASE, top('one')] });
    registry.add('web:2', { layers: [BASE, top('two')] });
    await using store = await open();
    const [a, b] = await Promise.all([store.pull(`${registry.host}/web:1`), store.pull(`${registry.host}/web:2`)]);
    expect(a.lowerDirs[1]).toBe(b.lowerDirs[1]);
    expect(a.lowerDirs[0]).not.toBe(b.lowerDirs[0]);
    expect(registry.asked(one.layerDigests[0] ?? '')).toHaveLength(1);
    expect(await readdir(join(directory, 'layers'))).toHaveLength(3);
    for (const digest of one.layerDigests) expect(await readdir(join(directory, 'blobs/sha256'))).not.toContain(digest.slice(7));
    const usage = await store.usage();
    expect(usage.bytes).toBeGreaterThan(NOISE.length);
    expect(usage.bytes).toBeLessThan(NOISE.length + 10_000);
  });

  test('concurrent pulls of one name share one exchange', async () => {
    registry.add('web:1', { layers: [BASE] });
    await using store = await open();
    const results = await Promise.all(Array.from({ length: 5 }, () => store.pull(`${registry.host}/web:1`)));
    expect(new Set(results.map(({ id }) => id)).size).toBe(1);
    expect(registry.asked('/manifests/')).toHaveLength(1);
  });

  test('gives directories that a layer leaves out the attributes of the layers below', async () => {
    const tmp = (mode: number): readonly RawMember[] => [
      { name: './', type: '5', mode: 0o755 },
      { name: 'tmp/', type: '5', mode },
    ];
    registry.add('a:1', { layers: [tmp(0o1777), [{ name: 'tmp/x', content: 'x' }]] });
    registry.add('b:1', { layers: [tmp(0o700), [{ name: 'tmp/x', content: 'x' }]] });
    await using store = await open();
    const modes = [];
    for (const name of ['a:1', 'b:1', 'a:1']) {
      const { lowerDirs } = await store.pull(`${registry.host}/${name}`);
      modes.push((await stat(join(lowerDirs[0] ?? '', 'tmp'))).mode & 0o7777);
    }
    expect(modes).toEqual([0o1777, 0o700, 0o1777]);
  });

  test('a tag that moved names the new image, and the old one stays under its digest', async () => {
    const old = registry.add('web:1', { layers: [top('old')] });
    await using store = await open();
    await store.pull(`${registry.host}/web:1`);
    const fresh = registry.add('web:1', { layers: [top('new')] });
    expect((await store.pull(`${registry.host}/web:1`)).id).toBe(fresh.id);
    expect((await store.status(old.id))?.tags).toEqual([]);
  });

  test('removes layers with their last image, and keeps shared ones', async () => {
    registry.add('web:1', { layers: [BASE, top('one')] });
    const two = registry.add('web:2', { layers: [BASE, top('two')] });
    await using store = await open();
    await store.pull(`${registry.host}/web:1`);
    await store.pull(`${registry.host}/web:2`);
    await store.remove(`${registry.host}/web:1`);
    expect(await store.status(`${registry.host}/web:1`)).toBeUndefined();
    expect((await store.list()).map(({ id }) => id)).toEqual([two.id]);
    expect(await readdir(join(directory, 'layers'))).toHaveLength(2);
    await store.remove(two.id);
    await store.remove(two.id);
    expect(await readdir(join(directory, 'layers'))).toEqual([]);
    expect(await readdir(join(directory, 'blobs/sha256'))).toEqual([]);
    expect(await store.usage()).toEqual({ bytes: 0, inodes: 0 });
  });

  test('chooses from an index what this machine runs, and says so when nothing fits', async () => {
    const arm = registry.add('arm:1', { layers: [top('arm')], architecture: 'arm64' });
    const amd = registry.add('amd:1', { layers: [top('amd')] });
    const entry = (image: { manifest: Buffer; manifestDigest: string }, architecture: string): unknown => ({
      ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.manifestDigest, size: image.manifest.length },
      platform: { os: 'linux', architecture },
    });
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [entry(arm, 'arm64'), entry(amd, 'amd64')] }));
    registry.putManifest('multi', '1', 'application/vnd.oci.image.index.v1+json', index);
    for (const image of [arm, amd]) registry.putManifest('multi', 'x', 'application/vnd.oci.image.manifest.v1+json', image.manifest);
    {
      await using store = await open();
      const status = await store.pull(`${registry.host}/multi:1`);
      expect(status).toMatchObject({ id: amd.id, digests: [`${registry.host}/multi@${digestOf(index)}`] });
      expect((await store.pull(`${registry.host}/multi@${digestOf(index)}`)).id).toBe(amd.id);
    }
    await using other = await open({ platform: { os: 'linux', architecture: 's390x' } });
    const error = await pullError(other, `${registry.host}/multi:1`);
    expect(error).toBeInstanceOf(PullError);
    expect(messageOf(error)).toContain('not built for linux/s390x, only for linux/arm64, linux/amd64');
    expect(messageOf(await pullError(other, `${registry.host}/arm:1`))).toContain('only for linux/arm64');
  });

  test('says which of its promised errors it is', async () => {
    await using store = await open();
    await expect(store.pull('Not A Name')).rejects.toThrow(InvalidImageNameError);
    const missing = await pullError(store, `${registry.host}/nothing:1`);
    expect(missing).toBeInstanceOf(ImageNotFoundError);
    expect(messageOf(missing)).toContain(`${registry.host}/nothing:1`);
    const silent = await pullError(store, '127.0.0.1:1/x:1');
    expect(silent).toBeInstanceOf(PullError);
    expect(messageOf(silent)).toContain('connection refused');
    await expectNothingHere(store);
  });

  test('goes on where a broken connection stopped', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const digest = image.layerDigests[0] ?? '';
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    let cuts = 0;
    registry.misbehave = (request, response) => {
      if (!request.url?.includes(digest) || cuts === 2) return false;
      cuts += 1;
      const start = Number(/=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const head = { 'content-length': blob.length - start, 'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}` };
      response.writeHead(start === 0 ? 200 : 206, head);
      response.write(blob.subarray(start, start + 150_000), () => response.destroy());
      return true;
    };
    await using store = await open();
    await store.pull(`${registry.host}/web:1`);
    const ranges = registry.requests.filter(({ path }) => path.includes(digest)).map(({ range }) => range);
    expect(ranges).toEqual([undefined, 'bytes=150000-', 'bytes=300000-']);
  });

  test('goes on after the process has died in between, also from a registry without ranges', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const digest = image.layerDigests[0] ?? '';
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    const partial = join(directory, 'partial', `sha256-${digest.slice(7)}`);
    for (const hasRanges of [true, false]) {
      await mkdir(join(directory, 'partial'), { recursive: true });
      await writeFile(partial, blob.subarray(0, 100_000));
      registry.requests.length = 0;
      registry.misbehave = (request, response) => {
        if (hasRanges || !request.url?.includes(digest)) return false;
        response.writeHead(200).end(blob);
        return true;
      };
      await using store = await open();
      await store.pull(`${registry.host}/web:1`);
      expect(registry.requests.find(({ path }) => path.includes(digest))?.range).toBe('bytes=100000-');
      expect(await readdir(join(directory, 'partial'))).toEqual([]);
      await store.remove(image.id);
    }
  });

  test('begins anew when what an earlier process left turns out damaged', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const digest = image.layerDigests[0] ?? '';
    await mkdir(join(directory, 'partial'), { recursive: true });
    await writeFile(join(directory, 'partial', `sha256-${digest.slice(7)}`), Buffer.alloc(5000));
    await using store = await open();
    expect((await store.pull(`${registry.host}/web:1`)).id).toBe(image.id);
    expect(registry.requests.filter(({ path }) => path.includes(digest)).map(({ range }) => range)).toEqual(['bytes=5000-', undefined]);
  });

  test('a stopped pull ends soon, and its part is used by the next one', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const digest = image.layerDigests[0] ?? '';
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    const stop = new AbortController();
    const reason = new Error('Pod is gone');
    registry.misbehave = (request, response) => {
      if (!request.url?.includes(digest)) return false;
      response.writeHead(200, { 'content-length': blob.length });
      response.write(blob.subarray(0, 200_000));
      return true;
    };
    await using store = await open({ idleTimeoutMs: 20_000 });
    const onProgress = ({ bytesDone }: PullProgress): void => {
      if (bytesDone >= 200_000) stop.abort(reason);
    };
    await expect(store.pull(`${registry.host}/web:1`, { signal: stop.signal, onProgress })).rejects.toBe(reason);
    await expectNothingHere(store);
    registry.misbehave = () => false;
    await store.pull(`${registry.host}/web:1`);
    expect(registry.requests.at(-1)?.range).toBe('bytes=200000-');
  });

  test('one of two pulls may stop without harm to the other', async () => {
    registry.add('web:1', { layers: [BASE] });
    const gate: (() => void)[] = [];
    registry.misbehave = (request, response) => {
      if (!request.url?.includes('/blobs/')) return false;
      gate.push(() => sendBlob(request, response, registry.blobs.get(request.url?.split('/').at(-1) ?? '') ?? Buffer.alloc(0)));
      return true;
    };
    await using store = await open({ idleTimeoutMs: 20_000 });
    const stop = new AbortController();
    const leaving = store.pull(`${registry.host}/web:1`, { signal: stop.signal });
    const staying = store.pull(`${registry.host}/web:1`);
    await expect.poll(() => gate.length).toBe(1);
    stop.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    registry.misbehave = () => false;
    for (const go of gate) go();
    expect((await staying).tags).toEqual([`${registry.host}/web:1`]);
  });

  test('gives up a registry that goes silent, in headers or in a body', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    await using store = await open({ retry: { triesMax: 2, backoff: { baseMs: 5, maxMs: 5 } } });
    registry.misbehave = () => true;
    expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain('went silent');
    expect(registry.requests).toHaveLength(2);
    registry.misbehave = (request, response) => {
      if (!request.url?.includes(image.layerDigests[0] ?? '?')) return false;
      response.writeHead(200, { 'content-length': 100_000 }).write('some');
      return true;
    };
    expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain('went silent');
    await expectNothingHere(store);
  });

  test('gives up a registry that only drips', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const timers: NodeJS.Timeout[] = [];
    registry.misbehave = (request, response) => {
      if (!request.url?.includes(image.layerDigests[0] ?? '?')) return false;
      response.writeHead(200, { 'content-length': 400_000 });
      timers.push(setInterval(() => response.write('x'), 20));
      return true;
    };
    // A second of this clock is a millisecond.
    const clock = { ...systemClock, monotonicMs: () => performance.now() * 1000 };
    await using store = await open({ clock, retry: { triesMax: 2, backoff: { baseMs: 5, maxMs: 5 } } });
    try {
      expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain('bytes in a minute');
    } finally {
      for (const timer of timers) clearInterval(timer);
    }
    await expectNothingHere(store);
  });

  test('asks again after 5xx and after 429, not sooner than it was told', async () => {
    registry.add('web:1', { layers: [top('x')] });
    const answers = [503, 429, 500];
    let refusedAt = 0;
    let waitedMs = 0;
    registry.misbehave = (_, response) => {
      if (refusedAt > 0) waitedMs = Math.max(waitedMs, performance.now() - refusedAt);
      const status = answers.pop();
      refusedAt = 0;
      if (status === undefined) return false;
      if (status === 429) refusedAt = performance.now();
      fail(response, status, 'TOOMANYREQUESTS', status === 429 ? { 'retry-after': '1' } : {});
      return true;
    };
    await using store = await open({ retry: { triesMax: 5, backoff: { baseMs: 5, maxMs: 20 }, retryAfterMaxMs: 5000 } });
    await store.pull(`${registry.host}/web:1`);
    expect(waitedMs).toBeGreaterThan(990);
  });

  test('gives up after the tries it is allowed, and says what the registry said', async () => {
    registry.misbehave = (_, response) => {
      fail(response, 500, 'UNKNOWN');
      return true;
    };
    await using store = await open();
    const error = await pullError(store, `${registry.host}/web:1`);
    expect(error).toBeInstanceOf(PullError);
    expect(messageOf(error)).toContain('answered 500, UNKNOWN: fake UNKNOWN');
    expect(registry.requests).toHaveLength(3);
  });

  test('takes nothing whose content is not what its digest says', async () => {
    const image = registry.add('web:1', { layers: [BASE] });
    const digest = image.layerDigests[0] ?? '';
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    await using store = await open();

    const flipped = Buffer.from(blob);
    flipped[1000] = (flipped[1000] ?? 0) ^ 1;
    registry.blobs.set(digest, flipped);
    expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain(`expected ${digest}`);

    registry.blobs.set(digest, Buffer.concat([blob, blob]));
    expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain('longer than');

    registry.blobs.set(digest, blob);
    const { manifest } = image;
    registry.manifests.set(`web:${image.manifestDigest}`, { type: 'application/json', bytes: Buffer.concat([manifest, Buffer.from(' ')]) });
    expect(messageOf(await pullError(store, `${registry.host}/web@${image.manifestDigest}`))).toContain(`expected ${image.manifestDigest}`);

    registry.add('lie:1', { layers: [top('x')], diffIDs: [digestOf(Buffer.from('something else'))] });
    expect(messageOf(await pullError(store, `${registry.host}/lie:1`))).toContain('verify unpacked layer');
    registry.add('few:1', { layers: [top('x')], diffIDs: [] });
    expect(messageOf(await pullError(store, `${registry.host}/few:1`))).toContain('1 layers');
    registry.add('evil:1', { layers: [BASE, [{ name: '../../x', content: 'x' }]] });
    expect(messageOf(await pullError(store, `${registry.host}/evil:1`))).toContain('climbs out');
    await expectNothingHere(store);
  });

  test('refuses documents that are no images, in words', async () => {
    await using store = await open();
    const cases: readonly (readonly [string, string])[] = [
      ['{"schemaVersion":1,"fsLayers":[]}', 'schema 1'],
      ['{"schemaVersion":2}', 'neither layers nor manifests'],
      ['[]', 'no JSON object'],
      ['<html>', 'not JSON'],
      ['{"schemaVersion":2,"config":{"digest":"sha256:../../x","size":1},"layers":[]}', 'digest'],
      [JSON.stringify({ schemaVersion: 2, layers: [], config: { digest: `sha256:${'0'.repeat(64)}`, size: 1e12 } }), 'more than'],
    ];
    for (const [text, words] of cases) {
      registry.putManifest('bad', '1', 'application/json', Buffer.from(text));
      expect(messageOf(await pullError(store, `${registry.host}/bad:1`))).toContain(words);
    }
  });

  test('gets a token where it is told to, with the first credentials that serve', async () => {
    registry.add('private/web:1', { layers: [top('x')] });
    const tokens: { readonly url: string; readonly authorization: string | undefined }[] = [];
    registry.misbehave = (request, response) => {
      const url = request.url ?? '';
      if (url.startsWith('/token')) {
        tokens.push({ url, authorization: request.headers.authorization });
        const isGood = request.headers.authorization === `Basic ${Buffer.from('good:pass').toString('base64')}`;
        if (isGood) response.writeHead(200).end(JSON.stringify({ token: 'secret-token', expires_in: 300 }));
        else fail(response, 401, 'UNAUTHORIZED');
        return true;
      }
      if (request.headers.authorization === 'Bearer secret-token') return false;
      const challenge = `Bearer realm="http://${registry.host}/token",service="fake",scope="repository:private/web:pull"`;
      fail(response, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
      return true;
    };
    await using store = await open();
    const reference = `${registry.host}/private/web:1`;
    const anonymous = await pullError(store, reference);
    expect(anonymous).toBeInstanceOf(RegistryUnauthorizedError);
    await expect(store.pull(reference, { credentials: [{ username: 'bad', password: 'x' }] })).rejects.toThrow(RegistryUnauthorizedError);
    tokens.length = 0;
    const credentials = ['bad', 'good'].map((username) => ({ username, password: 'pass' }));
    await store.pull(reference, { credentials });
    expect(tokens.map(({ url }) => url)).toEqual(
      Array.from({ length: 2 }, () => '/token?service=fake&scope=repository%3Aprivate%2Fweb%3Apull'),
    );
    expect(messageOf(anonymous)).not.toContain('secret');
  });

  test('follows redirects, and tells another host nothing about itself', async () => {
    await using storage = await FakeRegistry.start();
    const image = registry.add('web:1', { layers: [top('x')] });
    storage.misbehave = (request, response) => {
      sendBlob(request, response, registry.blobs.get(request.url?.slice(1) ?? '') ?? Buffer.alloc(0));
      return true;
    };
    registry.misbehave = (request, response) => {
      if (request.headers.authorization === undefined) {
        fail(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="fake"' });
        return true;
      }
      if (!request.url?.includes('/blobs/')) return false;
      response.writeHead(307, { location: `http://${storage.host}/${request.url.split('/').at(-1)}` }).end();
      return true;
    };
    await using store = await open();
    await store.pull(`${registry.host}/web:1`, { credentials: [{ username: 'u', password: 'p' }] });
    expect(storage.requests.map(({ path }) => path)).toContain(`/${image.layerDigests[0]}`);
    expect(storage.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test('does not follow redirects for ever, nor out of the web', async () => {
    await using store = await open();
    let location = '';
    registry.misbehave = (_, response) => {
      response.writeHead(302, { location }).end();
      return true;
    };
    location = '/v2/web/manifests/1';
    expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain('redirects');
    location = 'file:///etc/passwd';
    expect(messageOf(await pullError(store, `${registry.host}/web:1`))).toContain('redirected from http: to file:');
  });

  test('asks mirrors first, without credentials, and the registry when they fail', async () => {
    await using mirror = await FakeRegistry.start();
    const image = registry.add('web:1', { layers: [top('x')] });
    const credentials = [{ username: 'u', password: 'p' }];
    const registries = { [registry.host]: { mirrors: [`http://${mirror.host}`] } };
    {
      await using store = await open({ registries });
      await store.pull(`${registry.host}/web:1`, { credentials });
      expect(mirror.asked('/manifests/1')).toHaveLength(1);
      await store.remove(image.id);
    }
    mirror.add('web:1', { layers: [top('x')] });
    registry.requests.length = 0;
    await using store = await open({ registries });
    expect((await store.pull(`${registry.host}/web:1`, { credentials })).id).toBe(image.id);
    expect(registry.requests).toEqual([]);
    expect(mirror.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test('clears away at start what a killed process left', async () => {
    const image = registry.add('web:1', { layers: [BASE, top('one')] });
    {
      await using store = await open();
      await store.pull(`${registry.host}/web:1`);
    }
    await mkdir(join(directory, 'staging/half/fs/etc'), { recursive: true });
    const old = new Date(Date.now() - 48 * 3600 * 1000);
    for (const [name, age] of [
      ['sha256-young', new Date()],
      ['sha256-old', old],
    ] as const) {
      await writeFile(join(directory, 'partial', name), 'x');
      await utimes(join(directory, 'partial', name), age, age);
    }
    {
      await using store = await open();
      expect(await readdir(join(directory, 'staging'))).toEqual([]);
      expect(await readdir(join(directory, 'partial'))).toEqual(['sha256-young']);
      expect((await store.list()).map(({ id }) => id)).toEqual([image.id]);
    }
    // An image that lost a layer must be pulled anew, not started without it.
    const [layer = ''] = await readdir(join(directory, 'layers'));
    await rm(join(directory, 'layers', layer), { recursive: true });
    await using store = await open();
    expect(await store.list()).toEqual([]);
    expect((await store.pull(`${registry.host}/web:1`)).lowerDirs).toHaveLength(2);
  });

  test('drops a layer that a power cut may have emptied, and only such', async () => {
    registry.add('web:1', { layers: [BASE, top('one')] });
    {
      await using store = await open();
      await store.pull(`${registry.host}/web:1`);
    }
    const layers = join(directory, 'layers');
    const [name = ''] = await readdir(layers);
    expect(await readdir(join(layers, name))).toContain('on-disk');
    await rm(join(layers, name, 'on-disk'));
    {
      // The process died, the machine did not: all is well, and is marked now.
      await using store = await open();
      expect(await store.list()).toHaveLength(1);
    }
    expect(await readdir(join(layers, name))).toContain('on-disk');
    await rm(join(layers, name, 'on-disk'));
    const file = join(layers, name, 'layer.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace(/"bootID":"[^"]*"/, '"bootID":"an earlier one"'));
    await using store = await open();
    expect(await store.list()).toEqual([]);
    expect(await readdir(layers)).not.toContain(name);
    expect((await store.pull(`${registry.host}/web:1`)).lowerDirs).toHaveLength(2);
  });

  test('refuses archives that are none, and leaves nothing of them', async () => {
    await using store = await open();
    const path = join(directory, 'archive.tar');
    const cases: readonly (readonly [Buffer, string])[] = [
      [Buffer.from('not a tar at all, but long enough to fill a header block?'.repeat(20)), 'checksum'],
      [tarBytes([{ name: 'readme', content: 'x' }]), 'lacks index.json'],
      [tarBytes([{ name: 'manifest.json', content: '[]' }]), 'holds no image'],
      [tarBytes([{ name: 'manifest.json', content: '[{"Config":"../../etc/passwd","Layers":[]}]' }]), 'lacks ../../etc/passwd'],
    ];
    for (const [bytes, words] of cases) {
      await writeFile(path, bytes);
      const error = await store.importArchive(path).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ImportError);
      expect(messageOf(error)).toContain(words);
    }
    expect(await store.importArchive(join(directory, 'absent.tar')).then(() => '', messageOf)).toContain('ENOENT');
    await expectNothingHere(store);
  });
});
