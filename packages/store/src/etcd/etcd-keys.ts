import type { Entry, Revision } from '../contract.ts';
import type { KeyValue } from './etcd-messages.ts';

/** Keys from `key` to before `rangeEnd`. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** etcd's spelling of "all keys": from the smallest on, without an end. */
export const ALL_KEYS: KeyRange = { key: Buffer.of(0), rangeEnd: Buffer.of(0) };

/** The store's keys as etcd's: UTF-8, behind a prefix of the store's own. */
export class EtcdKeys {
  readonly #prefix: Buffer;

  /** @param prefix Stands before every key as it is; '' for none. */
  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix);
  }

  encode(key: string): Buffer {
    return Buffer.concat([this.#prefix, Buffer.from(key)]);
  }

  /** `undefined` for keys of others. */
  decode(key: Uint8Array): string | undefined {
    const bytes = view(key);
    if (this.#prefix.length === 0) return bytes.toString();
    if (!bytes.subarray(0, this.#prefix.length).equals(this.#prefix)) return undefined;
    return bytes.toString('utf8', this.#prefix.length);
  }

  /** Keys under `prefix` greater than `after`; `undefined` where there can be none. */
  range(prefix: string, after?: string): KeyRange | undefined {
    const first = this.encode(prefix);
    const key = after === undefined ? first : later(first, behind(this.encode(after)));
    if (first.length === 0) return { key: key.length === 0 ? ALL_KEYS.key : key, rangeEnd: ALL_KEYS.rangeEnd };
    // UTF-8 has no byte 0xff, so the last byte can always be counted up.
    const rangeEnd = Buffer.from(first);
    rangeEnd[rangeEnd.length - 1] = (first.at(-1) ?? 0) + 1;
    return Buffer.compare(key, rangeEnd) < 0 ? { key, rangeEnd } : undefined;
  }

  /** Values are copied: as views of it they would keep the whole message in memory. @throws {Error} The key is not the store's. */
  entry(kv: KeyValue): Entry {
    const key = this.decode(kv.key);
    if (key === undefined) throw new Error(`read ${view(kv.key).toString()}: not under the store's prefix`);
    return { key, value: new Uint8Array(kv.value), createdAt: kv.createRevision as Revision, modifiedAt: kv.modRevision as Revision };
  }
}

/** The smallest key greater than `key`. */
export function behind(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

function later(one: Buffer, other: Buffer): Buffer {
  return Buffer.compare(one, other) < 0 ? other : one;
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
