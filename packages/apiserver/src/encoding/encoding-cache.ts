import type { StoredObject } from '../registry/stored-object.ts';

/**
 * Encodings of objects at a revision, by form, shared by everybody who asks for the same. Bounded by bytes; what was made first goes first.
 * Forms name everything that changes the bytes: version, format, transform, event type.
 */
export class EncodingCache {
  readonly #bytesMax: number;
  readonly #entries = new Map<StoredObject, Map<string, Uint8Array>>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held. */
  get size(): number {
    return this.#bytes;
  }

  /** The encoding of `object` as `form`, made by `encode` where it is not held. */
  get(object: StoredObject, form: string, encode: () => Uint8Array): Uint8Array {
    const known = this.#entries.get(object)?.get(form);
    if (known !== undefined) return known;
    const bytes = encode();
    let forms = this.#entries.get(object);
    if (forms === undefined) {
      forms = new Map();
      this.#entries.set(object, forms);
    }
    forms.set(form, bytes);
    this.#bytes += bytes.length;
    this.#shrink();
    return bytes;
  }

  #shrink(): void {
    for (const [object, forms] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#entries.delete(object);
      for (const bytes of forms.values()) this.#bytes -= bytes.length;
    }
  }
}
