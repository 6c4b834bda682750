import { fromJsonText, type JsonObject, type KubeObject, toJsonText } from '@dure/api';
import { type Revision, StoreSealedError } from '@dure/store';

/**
 * Stored bytes are the object's JSON without `metadata.resourceVersion`, since the revision is unknown until the store answers.
 * `kind` and `apiVersion` come first and `metadata` third, so that the place of the missing field is found by looking at the head alone;
 * serving is then what stands before it, the revision, and what stands after it.
 */
const METADATA_OPENING = Buffer.from('"metadata":{');

/** The bytes to store for `object`, a decoded object of the storage version. */
export function encodeStored(object: JsonObject): Uint8Array {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _revision, selfLink: _selfLink, ...kept } = metadata as JsonObject;
  return Buffer.from(toJsonText({ kind, apiVersion, metadata: kept, ...rest }));
}

/** Bytes of the object as clients see it. */
export function splicedLength(stored: Uint8Array, revision: Revision): number {
  return stored.length + revisionField(revision).length;
}

/** Writes the object as clients see it into `target` from `start` on. @returns Where it ends. */
export function writeSpliced(target: Buffer, start: number, stored: Uint8Array, revision: Revision): number {
  const bytes = asBuffer(stored);
  const cut = bytes.indexOf(METADATA_OPENING) + METADATA_OPENING.length;
  if (cut < METADATA_OPENING.length) throw unreadable(stored, new Error('splice: stored bytes have no metadata'));
  let at = start + bytes.copy(target, start, 0, cut);
  at += target.write(revisionField(revision), at, 'latin1');
  return at + bytes.copy(target, at, cut);
}

/** The object as clients see it. */
export function spliceRevision(stored: Uint8Array, revision: Revision): Uint8Array {
  const target = Buffer.allocUnsafe(splicedLength(stored, revision));
  writeSpliced(target, 0, stored, revision);
  return target;
}

/** Metadata always holds a name at least, so a comma is right. */
function revisionField(revision: Revision): string {
  return `"resourceVersion":"${revision}",`;
}

/** Decodes stored bytes into a private, mutable object that carries its revision. */
export function decodeStored(stored: Uint8Array, revision: Revision): JsonObject {
  const object = parsed(stored);
  (object.metadata as JsonObject).resourceVersion = String(revision);
  return object;
}

/** Freezes `value` through and through; for objects that several readers share. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
  return value;
}

/** One object at one revision, with its decoded form made on first use and shared after. */
export class StoredObject {
  readonly key: string;
  readonly revision: Revision;
  readonly stored: Uint8Array;
  #object: KubeObject | undefined;

  constructor(key: string, stored: Uint8Array, revision: Revision) {
    this.key = key;
    this.stored = stored;
    this.revision = revision;
  }

  /** Deeply frozen; in the storage version. */
  get object(): KubeObject {
    this.#object ??= deepFreeze(decodeStored(this.stored, this.revision)) as unknown as KubeObject;
    return this.#object;
  }

  /** The same object as it stood when it was deleted at `revision`. */
  deletedAt(revision: Revision): StoredObject {
    return new StoredObject(this.key, this.stored, revision);
  }
}

function parsed(stored: Uint8Array): JsonObject {
  try {
    return fromJsonText(asBuffer(stored).toString('utf8')) as JsonObject;
  } catch (cause) {
    throw unreadable(stored, cause);
  }
}

/** What was written encrypted and is read by a server that was not told so says that, instead of being damaged. */
function unreadable(stored: Uint8Array, cause: unknown): unknown {
  const [, provider, key] = /^k8s:enc:([a-z0-9]+):[^:]*:([^:]*):/.exec(asBuffer(stored).toString('latin1', 0, 256)) ?? [];
  if (provider === undefined) return cause;
  const why = `it is encrypted with key ${JSON.stringify(key)} of provider ${provider}, and this server has no encryption configuration`;
  return new StoreSealedError('a stored object', why, { cause });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
