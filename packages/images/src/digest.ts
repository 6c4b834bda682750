import { createHash, type Hash } from 'node:crypto';

/** `sha256:<64 hex>` or `sha512:<128 hex>`, lower case. @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests */
export type Digest = string;

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

/** True for a digest whose algorithm can be verified here. Such a digest is safe as a file name once its colon is replaced. */
export function isDigest(text: string): boolean {
  const colon = text.indexOf(':');
  const length = HEX_LENGTH[text.slice(0, colon)];
  return length !== undefined && text.length === colon + 1 + length && /^[0-9a-f]+$/.test(text.slice(colon + 1));
}

/** Algorithm and hex of a digest that passed {@link isDigest}. */
export function splitDigest(digest: Digest): { readonly algorithm: string; readonly hex: string } {
  const colon = digest.indexOf(':');
  return { algorithm: digest.slice(0, colon), hex: digest.slice(colon + 1) };
}

/** A running hash that ends in a {@link Digest}. */
export class Digester {
  readonly #algorithm: string;
  readonly #hash: Hash;

  /** @param algorithm `sha256` or `sha512`. */
  constructor(algorithm = 'sha256') {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Ends the hash; call once. */
  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}`;
  }
}

/** The digest of bytes in memory. */
export function digestOf(bytes: Uint8Array, algorithm = 'sha256'): Digest {
  const digester = new Digester(algorithm);
  digester.update(bytes);
  return digester.digest();
}
