import { isDeepStrictEqual } from 'node:util';
import { type Clock, messageOf } from '@dure/foundation';
import { type Opened, StoreSealedError, type ValueSealer } from '@dure/store';
import { type HealthCheck, HealthFault } from '../health/health.ts';
import { type StoredResource, storedResources } from '../registry/storage-key.ts';
import { CIPHERS, type CipherName } from './ciphers.ts';
import type { EncryptionConfig, EncryptionKey, EncryptionProvider, KmsProvider } from './encryption-config.ts';
import { kmsClient } from './kms-client.ts';
import { KmsEnvelope } from './kms-envelope.ts';

const MARK = Buffer.from('k8s:enc:');
/** `k8s:enc:<provider>:v1:<key>:`, and `k8s:enc:kms:v2:<plugin>:`. */
const PREFIX = /^k8s:enc:(kms(?=:v2)|(?!kms:)[a-z]+(?=:v1)):v[12]:([^:]*):/;
/** Longer key names are not looked for. */
const PREFIX_LENGTH_MAX = 512;
const CLEAR: readonly [EncryptionProvider] = [{ kind: 'identity' }];

/**
 * Encrypts what the store keeps, by resource, in upstream's forms. The configuration may be replaced while the server runs: what was written
 * before is read with the keys that are listed now.
 */
export class EncryptionAtRest implements ValueSealer, AsyncDisposable {
  #config: EncryptionConfig;
  readonly #byResource = new Map<string, readonly [EncryptionProvider, ...EncryptionProvider[]]>();
  readonly #resourceOf = storedResources();
  /** Keys that were asked for in vain under this configuration. */
  readonly #missing = new Set<string>();

  readonly #clock: Clock;
  /** By name. */
  readonly #plugins = new Map<string, { readonly provider: KmsProvider; readonly envelope: KmsEnvelope }>();

  constructor(config: EncryptionConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#connectPlugins();
  }

  /** Writes and reads by `config` from now on. Plugins that are named as before stay connected. */
  configure(config: EncryptionConfig): void {
    this.#config = config;
    this.#byResource.clear();
    this.#missing.clear();
    this.#connectPlugins();
  }

  /** Fails while something was found that no configured key opens, and says which key that would take. */
  readonly health: HealthCheck = {
    name: 'encryption-at-rest',
    liveness: false,
    check: async () => {
      if (this.#missing.size > 0) throw new HealthFault(`no such key: ${[...this.#missing].sort().join(', ')}`);
      for (const [name, { envelope }] of this.#plugins) {
        const fault = await envelope.fault();
        if (fault !== undefined) throw new HealthFault(`provider kms ${JSON.stringify(name)}: ${fault}`);
      }
    },
  };

  async seal(key: string, value: Uint8Array): Promise<Uint8Array> {
    const [provider] = this.#providersOf(key);
    if (provider.kind === 'identity') return value;
    if (provider.kind === 'kms') return this.#sealByPlugin(provider, key, value);
    const [{ name, secret }] = provider.keys;
    const prefix = Buffer.from(`k8s:enc:${provider.kind}:v1:${name}:`);
    return Buffer.concat([prefix, CIPHERS[provider.kind].encrypt(value, secret, Buffer.from(key))]);
  }

  async open(key: string, stored: Uint8Array): Promise<Opened> {
    const providers = this.#providersOf(key);
    const [first] = providers;
    if (Buffer.compare(MARK, stored.subarray(0, MARK.length)) !== 0) {
      // A list without identity says that nothing in clear text may be believed any more.
      if (!providers.some(({ kind }) => kind === 'identity'))
        throw new StoreSealedError(key, 'it is stored in clear text, which this server is told not to read');
      return { value: stored, stale: first.kind !== 'identity' };
    }
    const head = Buffer.from(stored.subarray(0, PREFIX_LENGTH_MAX)).toString('latin1');
    const [prefix = '', kind = '', name = ''] = PREFIX.exec(head) ?? [];
    // Names may be any text; latin1 kept one character for each byte, so that lengths are right.
    const keyName = Buffer.from(name, 'latin1').toString('utf8');
    if (kind === 'kms' && providers.some((one) => one.kind === 'kms' && one.name === keyName))
      return this.#openByPlugin(first, keyName, key, stored.subarray(prefix.length));
    const secret = keyOf(providers, kind, keyName);
    if (secret === undefined) {
      const wanted = prefix === '' ? 'of an unknown provider' : `${JSON.stringify(keyName)} of provider ${kind}`;
      if (this.#missing.size < 100) this.#missing.add(wanted);
      throw new StoreSealedError(key, `it is encrypted with key ${wanted}, which this server does not have`);
    }
    try {
      const value = CIPHERS[kind as CipherName].decrypt(stored.subarray(prefix.length), secret, Buffer.from(key));
      return { value, stale: first.kind === 'identity' || first.kind === 'kms' || first.kind !== kind || first.keys[0].name !== keyName };
    } catch (cause) {
      throw new StoreSealedError(key, `it does not open with key ${JSON.stringify(keyName)} of provider ${kind}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#plugins.values()].map(({ envelope }) => envelope[Symbol.asyncDispose]()));
  }

  async #sealByPlugin({ name }: KmsProvider, key: string, value: Uint8Array): Promise<Uint8Array> {
    try {
      return Buffer.concat([Buffer.from(`k8s:enc:kms:v2:${name}:`), await this.#envelope(name).seal(value, Buffer.from(key))]);
    } catch (cause) {
      throw new StoreSealedError(key, `it cannot be encrypted by provider kms ${JSON.stringify(name)}: ${messageOf(cause)}`, { cause });
    }
  }

  async #openByPlugin(first: EncryptionProvider, name: string, key: string, stored: Uint8Array): Promise<Opened> {
    try {
      const { value, stale } = await this.#envelope(name).open(stored, Buffer.from(key));
      return { value, stale: stale || first.kind !== 'kms' || first.name !== name };
    } catch (cause) {
      throw new StoreSealedError(key, `it does not open by provider kms ${JSON.stringify(name)}: ${messageOf(cause)}`, { cause });
    }
  }

  #envelope(name: string): KmsEnvelope {
    const plugin = this.#plugins.get(name);
    if (plugin === undefined) throw new Error('it is not configured any more');
    return plugin.envelope;
  }

  #connectPlugins(): void {
    const wanted = this.#config.flatMap(({ providers }) => providers).filter((provider) => provider.kind === 'kms');
    for (const [name, { provider, envelope }] of this.#plugins) {
      if (wanted.some((one) => isDeepStrictEqual(one, provider))) continue;
      this.#plugins.delete(name);
      void envelope[Symbol.asyncDispose]();
    }
    for (const provider of wanted) {
      const { name, endpoint, timeoutMs } = provider;
      if (!this.#plugins.has(name))
        this.#plugins.set(name, { provider, envelope: new KmsEnvelope(kmsClient(endpoint, timeoutMs, this.#clock), this.#clock) });
    }
  }

  #providersOf(key: string): readonly [EncryptionProvider, ...EncryptionProvider[]] {
    const resource = this.#resourceOf(key);
    if (resource === undefined) return CLEAR;
    const name = `${resource.resource}.${resource.group}`;
    const known = this.#byResource.get(name);
    if (known !== undefined) return known;
    const found = this.#config.find(({ resources }) => resources.some((pattern) => matches(pattern, resource)))?.providers ?? CLEAR;
    this.#byResource.set(name, found);
    return found;
  }
}

function keyOf(providers: readonly EncryptionProvider[], kind: string, name: string): Uint8Array | undefined {
  const keys = providers.flatMap((provider): readonly EncryptionKey[] =>
    provider.kind === 'identity' || provider.kind === 'kms' || provider.kind !== kind ? [] : provider.keys,
  );
  return keys.find((key) => key.name === name)?.secret;
}

function matches(pattern: string, { group, resource }: StoredResource): boolean {
  if (pattern === '*.*') return true;
  const dot = pattern.indexOf('.');
  const [wantedResource, wantedGroup] = dot < 0 ? [pattern, ''] : [pattern.slice(0, dot), pattern.slice(dot + 1)];
  return (wantedResource === '*' || wantedResource === resource) && wantedGroup === group;
}
