import protobuf from 'protobufjs/light.js';

/*
 * What a KMS plugin is told and says, and what is stored of it. Field numbers are those of upstream's `kms/apis/v2/api.proto` and of its
 * `EncryptedObject`.
 */

export type KmsAnnotations = Readonly<Record<string, Uint8Array>>;

export interface KmsStatus {
  readonly version: string;
  /** `ok`, or what is wrong. */
  readonly healthz: string;
  /** Names the key that the plugin encrypts with now. */
  readonly keyId: string;
}

export interface EncryptRequest {
  readonly plaintext: Uint8Array;
  readonly uid: string;
}

export interface EncryptResponse {
  readonly ciphertext: Uint8Array;
  readonly keyId: string;
  readonly annotations: KmsAnnotations;
}

export interface DecryptRequest {
  readonly ciphertext: Uint8Array;
  readonly uid: string;
  readonly keyId: string;
  readonly annotations: KmsAnnotations;
}

export interface DecryptResponse {
  readonly plaintext: Uint8Array;
}

/** A stored value: what was encrypted, and the seed of its key as the plugin encrypted that. */
export interface EncryptedObject {
  readonly encryptedData: Uint8Array;
  readonly keyId: string;
  readonly encryptedSeed: Uint8Array;
  readonly annotations: KmsAnnotations;
  /** 1: the key of each value is derived from the seed. */
  readonly seedType: number;
}

export interface Message<T> {
  encode(message: T): Uint8Array;
  /** Fields that are absent get their zero. @throws {Error} The bytes are no such message. */
  decode(bytes: Uint8Array): T;
}

type FieldType = 'string' | 'bytes' | 'int32' | 'annotations';

export const STATUS_REQUEST = message<object>('StatusRequest', {});
export const STATUS_RESPONSE = message<KmsStatus>('StatusResponse', {
  version: [1, 'string'],
  healthz: [2, 'string'],
  keyId: [3, 'string'],
});
export const ENCRYPT_REQUEST = message<EncryptRequest>('EncryptRequest', { plaintext: [1, 'bytes'], uid: [2, 'string'] });
export const ENCRYPT_RESPONSE = message<EncryptResponse>('EncryptResponse', {
  ciphertext: [1, 'bytes'],
  keyId: [2, 'string'],
  annotations: [3, 'annotations'],
});
export const DECRYPT_REQUEST = message<DecryptRequest>('DecryptRequest', {
  ciphertext: [1, 'bytes'],
  uid: [2, 'string'],
  keyId: [3, 'string'],
  annotations: [4, 'annotations'],
});
export const DECRYPT_RESPONSE = message<DecryptResponse>('DecryptResponse', { plaintext: [1, 'bytes'] });
export const ENCRYPTED_OBJECT = message<EncryptedObject>('EncryptedObject', {
  encryptedData: [1, 'bytes'],
  keyId: [2, 'string'],
  encryptedSeed: [3, 'bytes'],
  annotations: [4, 'annotations'],
  seedType: [5, 'int32'],
});

function message<T extends object>(name: string, fields: Readonly<Record<string, readonly [number, FieldType]>>): Message<T> {
  const type = new protobuf.Type(name);
  for (const [field, [number, kind]] of Object.entries(fields))
    type.add(kind === 'annotations' ? new protobuf.MapField(field, number, 'string', 'bytes') : new protobuf.Field(field, number, kind));
  new protobuf.Root().add(type);
  return {
    encode: (value) => type.encode(value).finish(),
    decode: (bytes) => type.toObject(type.decode(bytes), { defaults: true, objects: true }) as T,
  };
}
