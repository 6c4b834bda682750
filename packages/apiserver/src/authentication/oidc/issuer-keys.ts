import { abortable, type Clock, messageOf } from '@dure/foundation';
import { type CryptoKey, importJWK, type JWK, type KeyObject } from 'jose';
import { Agent, request } from 'undici';
import type { JwtIssuer } from './authentication-config.ts';

/** A token with a key id that is not known may come of a rotation; anybody can make one up, so looking again has a pause. */
const REFETCH_PAUSE_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1 << 20;

/** Of the algorithms over curves; all others are RSA's. */
const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

type VerificationKey = CryptoKey | KeyObject | Uint8Array;

/** The keys that an issuer signs with, fetched when first needed and again when a key is missing. */
export class IssuerKeys implements AsyncDisposable {
  readonly #issuer: JwtIssuer;
  readonly #clock: Clock;
  readonly #agent: Agent;
  #keys: readonly JWK[] = [];
  #imported = new WeakMap<JWK, Map<string, VerificationKey>>();
  #running: Promise<void> | undefined;
  #lastFetchMs = Number.NEGATIVE_INFINITY;
  #lastFault: unknown;

  constructor(issuer: JwtIssuer, clock: Clock) {
    this.#issuer = issuer;
    this.#clock = clock;
    this.#agent = new Agent({
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
      connect: {
        timeout: ANSWER_TIMEOUT_MS,
        ...(issuer.certificateAuthority === undefined ? {} : { ca: issuer.certificateAuthority }),
      },
    });
  }

  /**
   * Keys that may have signed a token with such a header; more than one where it names none.
   * @throws {Error} The issuer does not answer, or has no such key.
   */
  async candidates(algorithm: string, keyId: string | undefined, signal: AbortSignal): Promise<readonly VerificationKey[]> {
    let matching = this.#matching(algorithm, keyId);
    if (matching.length === 0) {
      await abortable(this.#refresh(), signal);
      matching = this.#matching(algorithm, keyId);
    }
    if (matching.length === 0) {
      if (this.#keys.length === 0 && this.#lastFault !== undefined) throw this.#lastFault;
      throw new Error('failed to verify id token signature: the issuer has no such key');
    }
    // One key that cannot be read must not keep the others from being tried.
    const imported = await Promise.allSettled(matching.map((key) => this.#import(key, algorithm)));
    const usable = imported.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    if (usable.length === 0) throw new Error('failed to verify id token signature: the key of the issuer cannot be read');
    return usable;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  #matching(algorithm: string, keyId: string | undefined): JWK[] {
    const curve = CURVES[algorithm];
    return this.#keys.filter(
      ({ kid, kty, crv, alg, use }) =>
        kty === (curve === undefined ? 'RSA' : 'EC') &&
        (curve === undefined || crv === curve) &&
        (keyId === undefined || kid === keyId) &&
        (alg === undefined || alg === algorithm) &&
        (use === undefined || use === 'sig'),
    );
  }

  async #import(key: JWK, algorithm: string): Promise<VerificationKey> {
    const known = this.#imported.get(key) ?? new Map<string, VerificationKey>();
    this.#imported.set(key, known);
    const imported = known.get(algorithm) ?? (await importJWK(key, algorithm));
    known.set(algorithm, imported);
    return imported;
  }

  /** One fetch at a time, however many tokens wait for it. */
  #refresh(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    if (this.#clock.monotonicMs() - this.#lastFetchMs < REFETCH_PAUSE_MS) return Promise.resolve();
    this.#lastFetchMs = this.#clock.monotonicMs();
    this.#running = this.#fetch()
      .then(
        (keys) => {
          this.#keys = keys;
          this.#lastFault = undefined;
        },
        (error: unknown) => {
          // Keys that were good stay good while their issuer is away.
          this.#lastFault = new Error(`fetch keys of ${this.#issuer.url}: ${messageOf(error)}`, { cause: error });
        },
      )
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #fetch(): Promise<readonly JWK[]> {
    const { url, discoveryURL } = this.#issuer;
    const document = (await this.#get(discoveryURL ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`)) as Record<
      string,
      unknown
    >;
    if (document.issuer !== url)
      throw new Error(
        `oidc: issuer did not match the issuer returned by provider, expected ${JSON.stringify(url)} got ${JSON.stringify(document.issuer)}`,
      );
    if (typeof document.jwks_uri !== 'string' || !document.jwks_uri.startsWith('https://'))
      throw new Error('the discovery document names no https jwks_uri');
    const { keys } = (await this.#get(document.jwks_uri)) as { readonly keys?: unknown };
    if (!Array.isArray(keys)) throw new Error('the key set holds no keys');
    return keys.filter((key): key is JWK => typeof key === 'object' && key !== null && typeof key.kty === 'string');
  }

  async #get(url: string): Promise<unknown> {
    const answer = await request(url, { dispatcher: this.#agent, headers: { accept: 'application/json' } });
    let text = '';
    for await (const chunk of answer.body) {
      text += String(chunk);
      if (text.length > ANSWER_BYTES_MAX) throw new Error(`GET ${url}: the answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    }
    if (answer.statusCode !== 200) throw new Error(`GET ${url}: status ${answer.statusCode}`);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error(`GET ${url}: not a JSON object`);
    return value;
  }
}
