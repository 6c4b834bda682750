import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { StoreSealedError } from '@dure/store';
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EncryptionAtRest } from './encryption-at-rest.ts';
import { parseEncryptionConfig } from './encryption-config.ts';
import * as messages from './kms-messages.ts';

/** A KMS plugin of its own process's making: real gRPC over a real socket, keys that it can change, a count of what it is asked. */
class Plugin {
  readonly keys = new Map([['kek-1', randomBytes(32)]]);
  readonly asked: string[] = [];
  keyId = 'kek-1';
  healthz = 'ok';
  down = false;
  #server = new Server();

  async listen(socket: string): Promise<void> {
    const method = <Q, A>(name: string, question: messages.Message<Q>, answer: messages.Message<A>, handle: (request: Q) => A) => ({
      path: `/v2.KeyManagementService/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Q) => Buffer.from(question.encode(value)),
      requestDeserialize: (bytes: Buffer) => question.decode(bytes),
      responseSerialize: (value: A) => Buffer.from(answer.encode(value)),
      responseDeserialize: (bytes: Buffer) => answer.decode(bytes),
      originalName: name,
      handle,
    });
    const methods = {
      Status: method('Status', messages.STATUS_REQUEST, messages.STATUS_RESPONSE, () => ({
        version: 'v2',
        healthz: this.healthz,
        keyId: this.keyId,
      })),
      Encrypt: method('Encrypt', messages.ENCRYPT_REQUEST, messages.ENCRYPT_RESPONSE, ({ plaintext }) => this.#encrypt(plaintext)),
      Decrypt: method('Decrypt', messages.DECRYPT_REQUEST, messages.DECRYPT_RESPONSE, (request) => this.#decrypt(request)),
    };
    const handlers = Object.fromEntries(
      Object.entries(methods).map(([name, { handle }]) => {
        const serve: handleUnaryCall<never, unknown> = ({ request }, callback) => {
          this.asked.push(name);
          if (this.down) return callback({ code: status.UNAVAILABLE, details: 'the vault is closed' });
          try {
            callback(null, handle(request));
          } catch (error) {
            callback({ code: status.INVALID_ARGUMENT, details: (error as Error).message });
          }
        };
        return [name, serve];
      }),
    );
    this.#server.addService(methods as never, handlers as never);
    await new Promise<void>((resolve, reject) =>
      this.#server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())),
    );
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #encrypt(plaintext: Uint8Array): messages.EncryptResponse {
    const iv = randomBytes(16);
    const cipher = createCipheriv('aes-256-cbc', this.keys.get(this.keyId) ?? '', iv);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return { ciphertext, keyId: this.keyId, annotations: { 'iv.example.com': iv } };
  }

  #decrypt({ ciphertext, keyId, annotations }: messages.DecryptRequest): messages.DecryptResponse {
    const key = this.keys.get(keyId);
    if (key === undefined) throw new Error(`no key ${keyId}`);
    const decipher = createDecipheriv('aes-256-cbc', key, annotations['iv.example.com'] ?? '');
    return { plaintext: Buffer.concat([decipher.update(ciphertext), decipher.final()]) };
  }
}

const KEY = '/registry/secrets/default/a';
const clear = Buffer.from('{"kind":"Secret"}');
let directory: string;
let plugin: Plugin;
let clock: FakeClock;
let sealer: EncryptionAtRest;
const { signal } = new AbortController();

const config = (...more: readonly object[]) =>
  parseEncryptionConfig(
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [
        {
          resources: ['secrets'],
          providers: [...more, { kms: { apiVersion: 'v2', name: 'vault', endpoint: `unix://${directory}/kms.sock`, timeout: '2s' } }],
        },
      ],
    }),
  );
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dure-kms-'));
  plugin = new Plugin();
  await plugin.listen(`${directory}/kms.sock`);
  clock = new FakeClock(systemClock.now());
  sealer = new EncryptionAtRest(config(), clock);
});
afterEach(async () => {
  await sealer[Symbol.asyncDispose]();
  plugin.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a KMS plugin', () => {
  it('encrypts one seed for any number of values, each with a key of its own', async () => {
    const stored = await Promise.all([1, 2, 3].map(() => sealer.seal(KEY, clear)));
    expect(new Set(stored.map(textOf)).size).toBe(3);
    for (const one of stored) {
      expect(textOf(one)).toMatch(/^k8s:enc:kms:v2:vault:/);
      expect(textOf(one)).not.toContain('Secret');
      const { value, stale } = await sealer.open(KEY, one);
      expect([textOf(value), stale]).toEqual([textOf(clear), false]);
    }
    expect(plugin.asked).toEqual(['Status', 'Encrypt']);
  });

  it('is asked once for a seed of another start, and opens nothing at another key or changed', async () => {
    const stored = await sealer.seal(KEY, clear);
    await using again = new EncryptionAtRest(config(), clock);
    for (let times = 0; times < 3; times += 1) expect(textOf((await again.open(KEY, stored)).value)).toBe(textOf(clear));
    expect(plugin.asked.filter((name) => name === 'Decrypt')).toHaveLength(1);
    await expect(again.open('/registry/secrets/default/b', stored)).rejects.toBeInstanceOf(StoreSealedError);
    for (let at = 'k8s:enc:kms:v2:vault:'.length; at < stored.length; at += 7) {
      const changed = Uint8Array.from(stored);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const outcome = await again.open(KEY, changed).catch((error: unknown) => error);
      expect(outcome, `byte ${at}`).toBeInstanceOf(StoreSealedError);
    }
  });

  it('that changes its key makes what was written before stale, within a minute', async () => {
    const stored = await sealer.seal(KEY, clear);
    plugin.keys.set('kek-2', randomBytes(32));
    plugin.keyId = 'kek-2';
    expect((await sealer.open(KEY, stored)).stale).toBe(false);
    await clock.advance(60_000);
    await expect.poll(async () => (await sealer.open(KEY, stored)).stale).toBe(true);
    const next = await sealer.seal(KEY, clear);
    expect((await sealer.open(KEY, next)).stale).toBe(false);
    plugin.keys.delete('kek-1');
    await using later = new EncryptionAtRest(config(), clock);
    await expect(later.open(KEY, stored)).rejects.toThrow('it does not open by provider kms "vault": KMS plugin at unix');
    expect(textOf((await later.open(KEY, next)).value)).toBe(textOf(clear));
  });

  it('that is away stops nothing that was begun, and health says so', async () => {
    const stored = await sealer.seal(KEY, clear);
    plugin.down = true;
    await clock.advance(60_000);
    await expect(sealer.health.check(signal)).rejects.toThrow('provider kms "vault": KMS plugin at');
    expect(textOf((await sealer.open(KEY, await sealer.seal(KEY, clear))).value)).toBe(textOf(clear));
    await using fresh = new EncryptionAtRest(config(), clock);
    await expect(fresh.seal(KEY, clear)).rejects.toThrow('Status: the vault is closed');
    await expect(fresh.open(KEY, stored)).rejects.toThrow('Decrypt: the vault is closed');
    plugin.down = false;
    await clock.advance(10_000);
    await expect(sealer.health.check(signal)).resolves.toBeUndefined();
    expect(textOf((await fresh.open(KEY, stored)).value)).toBe(textOf(clear));
  });

  it('that is not well is not written with', async () => {
    plugin.healthz = 'out of entropy';
    await expect(sealer.seal(KEY, clear)).rejects.toThrow('KMS plugin is not well: out of entropy');
    await expect(sealer.health.check(signal)).rejects.toThrow('out of entropy');
  });

  it('may stand behind another provider, and before one', async () => {
    const stored = await sealer.seal(KEY, clear);
    sealer.configure(config({ aesgcm: { keys: [{ name: 'k', secret: Buffer.alloc(32, 1).toString('base64') }] } }));
    const { value, stale } = await sealer.open(KEY, stored);
    expect([textOf(value), stale]).toEqual([textOf(clear), true]);
    const local = await sealer.seal(KEY, clear);
    expect(textOf(local)).toMatch(/^k8s:enc:aesgcm:v1:k:/);
    sealer.configure(config());
    await expect(sealer.open(KEY, local)).rejects.toThrow('key "k" of provider aesgcm');
  });
});
