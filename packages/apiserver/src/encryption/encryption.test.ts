import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtinKinds, KindRegistry } from '@dure/api';
import { silentLogger, systemClock } from '@dure/foundation';
import { openEmbeddedStore, openMemoryStore, SealedStore, type Store, StoreSealedError } from '@dure/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigFileError } from '../config-files/config-file.ts';
import { startTestServer, type TestServer, testClient } from '../testing/index.ts';
import { CIPHERS } from './ciphers.ts';
import { EncryptionAtRest } from './encryption-at-rest.ts';
import { parseEncryptionConfig } from './encryption-config.ts';

const keyOf = (name: string, seed: number, bytes = 32) => ({ name, secret: Buffer.alloc(bytes, seed).toString('base64') });
const file = (...resources: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources });
const secretsBy = (...providers: readonly object[]) => parseEncryptionConfig(file({ resources: ['secrets'], providers }));
const KEY = '/registry/secrets/default/a';
const clear = Buffer.from('{"kind":"Secret"}');
const stored = Buffer.from('{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a","namespace":"default"}}');
const textOf = (value: Uint8Array): string => Buffer.from(value).toString('latin1');

describe('providers', () => {
  it.each(['aescbc', 'aesgcm', 'secretbox'])('%s writes in its form and reads it back', async (name) => {
    const sealer = new EncryptionAtRest(secretsBy({ [name]: { keys: [keyOf('key1', 1)] } }, { identity: {} }), systemClock);
    const stored = await sealer.seal(KEY, clear);
    expect(textOf(stored).startsWith(`k8s:enc:${name}:v1:key1:`)).toBe(true);
    expect(textOf(stored)).not.toContain('Secret');
    expect(textOf(await sealer.seal(KEY, clear))).not.toBe(textOf(stored));
    const { value, stale } = await sealer.open(KEY, stored);
    expect([textOf(value), stale]).toEqual([textOf(clear), false]);
  });

  it.each(['aesgcm', 'secretbox'])('%s notices each bit that changed', async (name) => {
    const sealer = new EncryptionAtRest(secretsBy({ [name]: { keys: [keyOf('key1', 1)] } }), systemClock);
    const stored = await sealer.seal(KEY, clear);
    for (let at = `k8s:enc:${name}:v1:key1:`.length; at < stored.length; at += 1) {
      const changed = Uint8Array.from(stored);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(sealer.open(KEY, changed)).rejects.toBeInstanceOf(StoreSealedError);
    }
    await expect(sealer.open(KEY, stored.subarray(0, stored.length - 40))).rejects.toBeInstanceOf(StoreSealedError);
  });

  it('aesgcm opens nothing that was copied from another key', async () => {
    const sealer = new EncryptionAtRest(secretsBy({ aesgcm: { keys: [keyOf('key1', 1)] } }), systemClock);
    const stored = await sealer.seal(KEY, clear);
    await expect(sealer.open('/registry/secrets/default/b', stored)).rejects.toThrow(/does not open with key "key1"/);
  });

  // Made by openssl and by NaCl's own published example.
  it('read what other programs wrote', () => {
    const key = Buffer.alloc(32, 7);
    const cbc = Buffer.from('000102030405060708090a0b0c0d0e0fad8e274cc5489b02840efeea32f9cca37c8f2cf7747f6d6afd0363e9702d63a7', 'hex');
    expect(textOf(CIPHERS.aescbc.decrypt(cbc, key, new Uint8Array()))).toBe('written by openssl');
    const opened = CIPHERS.secretbox.decrypt(
      Buffer.from(
        '69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
        'hex',
      ),
      Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex'),
      new Uint8Array(),
    );
    expect(Buffer.from(opened).toString('hex').slice(0, 32)).toBe('be075fc53c81f2d5cf141316ebeb0c7b');
  });
});

describe('keys', () => {
  const old = { aescbc: { keys: [keyOf('old', 1)] } };

  it('of any provider read, the first one writes, and what it did not write is stale', async () => {
    const sealer = new EncryptionAtRest(secretsBy(old, { identity: {} }), systemClock);
    const stored = await sealer.seal(KEY, clear);
    sealer.configure(secretsBy({ aesgcm: { keys: [keyOf('new', 2), keyOf('old', 1)] } }, old, { identity: {} }));
    expect(await sealer.open(KEY, stored)).toEqual({ value: clear, stale: true });
    expect(await sealer.open(KEY, clear)).toEqual({ value: clear, stale: true });
    expect(textOf(await sealer.seal(KEY, clear))).toMatch(/^k8s:enc:aesgcm:v1:new:/);
    sealer.configure(secretsBy({ identity: {} }, old));
    expect(await sealer.open(KEY, stored)).toMatchObject({ stale: true });
    expect(await sealer.seal(KEY, clear)).toEqual(clear);
  });

  it('that are missing are named, by errors and by health', async () => {
    const sealer = new EncryptionAtRest(secretsBy(old), systemClock);
    const stored = await sealer.seal(KEY, clear);
    const { signal } = new AbortController();
    sealer.configure(secretsBy({ aescbc: { keys: [keyOf('new', 1)] } }));
    await expect(sealer.health.check(signal)).resolves.toBeUndefined();
    await expect(sealer.open(KEY, stored)).rejects.toThrow(
      'it is encrypted with key "old" of provider aescbc, which this server does not have',
    );
    await expect(sealer.health.check(signal)).rejects.toThrow('no such key: "old" of provider aescbc');
    sealer.configure(secretsBy(old));
    await expect(sealer.health.check(signal)).resolves.toBeUndefined();
    // Other bytes under the name of a key that is there.
    sealer.configure(secretsBy({ aesgcm: { keys: [keyOf('old', 1)] } }));
    const sealed = await sealer.seal(KEY, clear);
    sealer.configure(secretsBy({ aesgcm: { keys: [keyOf('old', 9)] } }));
    await expect(sealer.open(KEY, sealed)).rejects.toThrow('it does not open with key "old" of provider aesgcm');
  });

  it('are needed for clear text too where identity is not listed', async () => {
    const sealer = new EncryptionAtRest(secretsBy(old), systemClock);
    await expect(sealer.open(KEY, clear)).rejects.toThrow(/clear text/);
  });

  it('count for the resources that name them, the first entry first', async () => {
    const by = (name: string, ...resources: string[]) => ({ resources, providers: [{ aesgcm: { keys: [keyOf(name, 1)] } }] });
    const config = file(
      { resources: ['configmaps'], providers: [{ identity: {} }] },
      by('core', '*.'),
      by('apps', '*.apps'),
      by('custom', 'pods.example.com'),
      by('rest', '*.*'),
    );
    const sealer = new EncryptionAtRest(parseEncryptionConfig(config), systemClock);
    const nameAt = async (key: string) => /v1:(\w+):/.exec(textOf(await sealer.seal(key, clear)))?.[1];
    expect(await nameAt('/registry/configmaps/default/a')).toBeUndefined();
    expect(await nameAt('/registry/services/specs/default/a')).toBe('core');
    expect(await nameAt('/registry/deployments/default/a')).toBe('apps');
    expect(await nameAt('/registry/example.com/pods/default/a')).toBe('custom');
    expect(await nameAt('/registry/example.com/things/a')).toBe('rest');
    expect(await nameAt('/registry/ranges/serviceips')).toBeUndefined();
  });
});

describe('an EncryptionConfiguration', () => {
  it.each<[string, string, string]>([
    ['no resources', file(), 'resources: Required value'],
    ['another kind', '{"kind":"Config"}', 'expected EncryptionConfiguration of apiserver.config.k8s.io/v1'],
    ['no provider', file({ resources: ['secrets'] }), 'resources[0].providers: Required value'],
    ['a provider of nobody', file({ resources: ['secrets'], providers: [{ rot13: {} }] }), 'Unsupported value: "rot13"'],
    [
      'the first version of KMS',
      file({ resources: ['secrets'], providers: [{ kms: { apiVersion: 'v1' } }] }),
      'unsupported apiVersion, expected v2',
    ],
    [
      'a plugin that is elsewhere',
      file({ resources: ['secrets'], providers: [{ kms: { apiVersion: 'v2', name: 'a', endpoint: 'tcp://a' } }] }),
      'expected unix:///PATH',
    ],
    ['two in one', file({ resources: ['a'], providers: [{ identity: {}, aescbc: {} }] }), 'exactly one of'],
    [
      'a short key',
      file({ resources: ['a'], providers: [{ aesgcm: { keys: [keyOf('k', 1, 20)] } }] }),
      'got 20, expected one of [16 24 32]',
    ],
    ['no base64', file({ resources: ['a'], providers: [{ aesgcm: { keys: [{ name: 'k', secret: '!' }] } }] }), 'must be base64'],
    ['a colon in a name', file({ resources: ['a'], providers: [{ secretbox: { keys: [keyOf('a:b', 1)] } }] }), 'a colon ends the name'],
    ['a name twice', file({ resources: ['a'], providers: [{ aesgcm: { keys: [keyOf('k', 1), keyOf('k', 2)] } }] }), 'Duplicate value: "k"'],
    ['a lone star', file({ resources: ['*'], providers: [{ identity: {} }] }), 'use "*.*"'],
    ['what nobody will look for', file({ resources: ['*.*', 'secrets'], providers: [{ identity: {} }] }), 'covers this resource already'],
  ])('is refused with %s', (_what, text, why) => {
    expect(() => parseEncryptionConfig(text)).toThrow(ConfigFileError);
    expect(() => parseEncryptionConfig(text)).toThrow(why);
  });

  it('never shows a secret in its faults', () => {
    const secret = 'dG9vIHNob3J0';
    const text = file({ resources: ['a'], providers: [{ aesgcm: { keys: [{ name: 'k', secret }] } }] });
    expect(() => parseEncryptionConfig(text)).toThrow(/^(?!.*dG9v)/s);
    expect(() => parseEncryptionConfig(text)).toThrow('got 9, expected');
  });
});

describe('a server over an encrypted store', () => {
  const marker = randomBytes(24).toString('hex');
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dure-encryption-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function bytesOnDisk(): Promise<string> {
    const files = await readdir(join(directory, 'level'));
    return (await Promise.all(files.map((name) => readFile(join(directory, 'level', name), 'latin1')))).join('');
  }

  async function writeSecret(store: Store, token: string): Promise<void> {
    await using server = await startTestServer(new KindRegistry(builtinKinds), { store });
    await using client = testClient(server);
    const secret = { metadata: { name: 'a' }, stringData: { token }, type: 'Opaque' };
    expect((await client.send('POST', '/api/v1/namespaces/default/secrets', { body: secret })).status).toBe(201);
    expect(Buffer.from((await client.send('GET', '/api/v1/namespaces/default/secrets/a')).json.data.token, 'base64').toString()).toBe(
      token,
    );
  }

  it('leaves nothing readable of a Secret on the disk', async () => {
    const base64 = Buffer.from(marker).toString('base64');
    for (const encrypted of [false, true]) {
      await rm(directory, { recursive: true });
      const inner = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger, reserveBytes: 0 });
      await using store = encrypted
        ? new SealedStore(inner, new EncryptionAtRest(secretsBy({ secretbox: { keys: [keyOf('k', 3)] } }), systemClock))
        : inner;
      await writeSecret(store, marker);
      // Without encryption it must be found, or looking proves nothing.
      expect((await bytesOnDisk()).includes(base64)).toBe(!encrypted);
    }
  });

  it('says so where it was written encrypted and the server is not told', async () => {
    const store = openMemoryStore();
    const encryption = new EncryptionAtRest(secretsBy({ aescbc: { keys: [keyOf('old', 1)] } }), systemClock);
    await new SealedStore(store, encryption).append({ kind: 'put', key: KEY, value: clear }, 0 as never, 'durable');
    await using server = await startTestServer(new KindRegistry(builtinKinds), { store });
    await using client = testClient(server);
    const why = 'encrypted with key "old" of provider aescbc, and this server has no encryption configuration';
    const put = await client.send('PUT', '/api/v1/namespaces/default/secrets/a', { body: { metadata: { name: 'a' } } });
    expect([put.status, put.json.message]).toEqual([500, expect.stringContaining(why)]);
  });

  it('tells which key is missing from the first list on, and goes on when it comes', async () => {
    const inner = openMemoryStore();
    const old = { aesgcm: { keys: [keyOf('old', 1)] } };
    const encryption = new EncryptionAtRest(secretsBy(old), systemClock);
    await new SealedStore(inner, encryption).append({ kind: 'put', key: KEY, value: stored }, 0 as never, 'durable');
    encryption.configure(secretsBy({ aesgcm: { keys: [keyOf('new', 2)] } }));
    await using server = await startTestServer(new KindRegistry(builtinKinds), { store: new SealedStore(inner, encryption) });
    await using client = testClient(server);
    for (const path of ['/api/v1/secrets', '/api/v1/secrets', '/api/v1/namespaces/default/secrets/a']) {
      const refused = await client.send('GET', path);
      expect([refused.status, refused.json.message]).toEqual([500, expect.stringContaining('encrypted with key "old" of provider aesgcm')]);
    }
    encryption.configure(secretsBy(old));
    await expect.poll(async () => (await client.send('GET', '/api/v1/secrets')).json.items?.length, { timeout: 5000 }).toBe(1);
  });

  it('writes a Secret anew with the new key when it is replaced by itself, and says which key is missing', async () => {
    const inner = openMemoryStore();
    const old = { aescbc: { keys: [keyOf('old', 1)] } };
    const encryption = new EncryptionAtRest(secretsBy(old), systemClock);
    await using server: TestServer = await startTestServer(new KindRegistry(builtinKinds), {
      store: new SealedStore(inner, encryption),
      healthChecks: [encryption.health],
    });
    await using client = testClient(server);
    const path = '/api/v1/namespaces/default/secrets';
    const made = await client.send('POST', path, { body: { metadata: { name: 'a' }, data: { a: 'YQ==' } } });
    const atRest = async (): Promise<string> => textOf((await inner.get(KEY))?.value ?? new Uint8Array());
    expect(await atRest()).toMatch(/^k8s:enc:aescbc:v1:old:/);
    const again = await client.send('PUT', `${path}/a`, { body: made.json });
    expect(again.json.metadata.resourceVersion).toBe(made.json.metadata.resourceVersion);

    const rotated = { aescbc: { keys: [keyOf('new', 2), keyOf('old', 1)] } };
    encryption.configure(secretsBy(rotated));
    expect((await client.send('PUT', `${path}/a`, { body: made.json })).status).toBe(200);
    expect(await atRest()).toMatch(/^k8s:enc:aescbc:v1:new:/);

    encryption.configure(secretsBy(old));
    const refused = await client.send('PUT', `${path}/a`, { body: { metadata: { name: 'a' } } });
    expect(refused.status).toBe(500);
    expect(refused.json.message).toContain('encrypted with key "new" of provider aescbc, which this server does not have');
    expect((await client.send('GET', '/healthz')).text).toContain('[-]encryption-at-rest failed: no such key: "new" of provider aescbc');
    encryption.configure(secretsBy(rotated));
    expect((await client.send('GET', '/healthz')).text).toBe('ok');
    expect((await client.send('GET', `${path}/a`)).json.data).toEqual({ a: 'YQ==' });
  });
});
