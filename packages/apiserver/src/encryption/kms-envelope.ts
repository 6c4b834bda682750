import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { type Clock, messageOf } from '@dure/foundation';
import { CIPHERS } from './ciphers.ts';
import type { KmsClient } from './kms-client.ts';
import { ENCRYPTED_OBJECT, type EncryptedObject, type KmsAnnotations } from './kms-messages.ts';

const SEED_BYTES = 32;
const INFO_BYTES = 32;
/** The only sort of seed that is written and read: the key of each value is derived from it. */
const DERIVED = 1;
/** How often the plugin is asked which key it uses. */
const STATUS_EVERY_MS = 60_000;
/** And while it does not answer. */
const RETRY_EVERY_MS = 10_000;
/** Seeds of older keys that are kept open. */
const SEEDS_MAX = 1000;

/** The seed that values are written with, and what stands beside each of them so that it can be had again. */
interface WriteSeed {
  readonly seed: Uint8Array;
  readonly keyId: string;
  readonly encryptedSeed: Uint8Array;
  readonly annotations: KmsAnnotations;
}

/**
 * Envelope encryption, version 2: a seed that lives in memory and is stored only as the plugin encrypted it; every value has a key of its own.
 * The plugin is asked once for each seed, not for each value. A plugin that changes its key gets a new seed to encrypt.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/
 */
export class KmsEnvelope implements AsyncDisposable {
  readonly #client: KmsClient;
  readonly #clock: Clock;
  readonly #seeds = new Map<string, Promise<Uint8Array>>();
  #write: WriteSeed | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #fault: string | undefined;

  constructor(client: KmsClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** @throws {Error} The plugin has not given a key yet. */
  async seal(value: Uint8Array, place: Uint8Array): Promise<Uint8Array> {
    const { seed, ...stored } = await this.#writeSeed();
    const info = randomBytes(INFO_BYTES);
    const encryptedData = Buffer.concat([info, CIPHERS.aesgcm.encrypt(value, keyOf(seed, info), place)]);
    return ENCRYPTED_OBJECT.encode({ ...stored, encryptedData, seedType: DERIVED });
  }

  /** @throws {Error} The plugin cannot decrypt the seed, or the bytes are not what was written here. */
  async open(stored: Uint8Array, place: Uint8Array): Promise<{ readonly value: Uint8Array; readonly stale: boolean }> {
    const object = ENCRYPTED_OBJECT.decode(stored);
    if (object.seedType !== DERIVED) throw new Error(`seeds of type ${object.seedType} are not supported`);
    const seed = await this.#seedOf(object);
    const info = object.encryptedData.subarray(0, INFO_BYTES);
    const value = CIPHERS.aesgcm.decrypt(object.encryptedData.subarray(INFO_BYTES), keyOf(seed, info), place);
    void this.#refresh();
    return { value, stale: this.#write !== undefined && this.#write.keyId !== object.keyId };
  }

  /** What is wrong with the plugin; `undefined` if nothing is. */
  async fault(): Promise<string | undefined> {
    await this.#refresh();
    return this.#fault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #writeSeed(): Promise<WriteSeed> {
    // Once there is a seed nobody waits for a plugin that is away.
    if (this.#write === undefined) await this.#refresh();
    else void this.#refresh();
    if (this.#write === undefined) throw new Error(this.#fault ?? 'the KMS plugin has given no key');
    return this.#write;
  }

  /** Asks the plugin for its key, if it was not asked lately. Never fails; a plugin that is away makes nothing stale. */
  async #refresh(): Promise<void> {
    const everyMs = this.#fault === undefined ? STATUS_EVERY_MS : RETRY_EVERY_MS;
    if (this.#asking === undefined && this.#clock.monotonicMs() - this.#askedMs >= everyMs) {
      this.#askedMs = this.#clock.monotonicMs();
      this.#asking = this.#ask()
        .then(
          () => {
            this.#fault = undefined;
          },
          (error: unknown) => {
            this.#fault = messageOf(error);
          },
        )
        .finally(() => {
          this.#asking = undefined;
        });
    }
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { version, healthz, keyId } = await this.#client.status();
    if (!/^v2(beta1)?$/.test(version)) throw new Error(`expected KMS version v2, got ${JSON.stringify(version)}`);
    if (healthz !== 'ok') throw new Error(`KMS plugin is not well: ${healthz}`);
    if (keyId === '') throw new Error('the KMS plugin names no key');
    if (this.#write?.keyId === keyId) return;
    const seed = randomBytes(SEED_BYTES);
    const answer = await this.#client.encrypt({ plaintext: seed, uid: randomUUID() });
    // Between the two calls the plugin may have changed its key again; then the next look finds that.
    this.#write = { seed, keyId: answer.keyId, encryptedSeed: answer.ciphertext, annotations: answer.annotations };
    this.#remember(this.#write, Promise.resolve(seed));
  }

  #seedOf(object: Pick<EncryptedObject, 'encryptedSeed' | 'keyId' | 'annotations'>): Promise<Uint8Array> {
    const known = this.#seeds.get(nameOf(object));
    if (known !== undefined) return known;
    const { encryptedSeed: ciphertext, keyId, annotations } = object;
    const opening = this.#client.decrypt({ ciphertext, keyId, annotations, uid: randomUUID() }).then(({ plaintext }) => {
      if (plaintext.length < SEED_BYTES) throw new Error('the KMS plugin gave back a seed that is too short');
      return plaintext;
    });
    this.#remember(object, opening);
    // Asked again the next time.
    opening.catch(() => this.#seeds.delete(nameOf(object)));
    return opening;
  }

  #remember(object: Pick<EncryptedObject, 'encryptedSeed' | 'keyId' | 'annotations'>, seed: Promise<Uint8Array>): void {
    this.#seeds.set(nameOf(object), seed);
    const [oldest] = this.#seeds.keys();
    if (this.#seeds.size > SEEDS_MAX && oldest !== undefined) this.#seeds.delete(oldest);
  }
}

/** HKDF-SHA256's expansion of the seed to one block. */
function keyOf(seed: Uint8Array, info: Uint8Array): Uint8Array {
  return createHmac('sha256', seed).update(info).update(Uint8Array.of(1)).digest();
}

/** Everything that the plugin's answer depends on: annotations that were changed must not find the seed of the right ones. */
function nameOf({ encryptedSeed, keyId, annotations }: Pick<EncryptedObject, 'encryptedSeed' | 'keyId' | 'annotations'>): string {
  const sorted = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256').update(
    JSON.stringify([keyId, sorted.map(([key, value]) => [key, Buffer.from(value).toString('base64')])]),
  );
  return hash.update(encryptedSeed).digest('base64');
}
