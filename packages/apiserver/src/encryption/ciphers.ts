import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

/** How one provider of an EncryptionConfiguration writes: random bytes, then what they were used for. */
export interface Cipher {
  /** @param key Of one of {@link keyBytes} lengths. @param place Where the value lies; read again elsewhere it does not open, if the cipher can tell. */
  encrypt(value: Uint8Array, key: Uint8Array, place: Uint8Array): Uint8Array;
  /** @throws {Error} Another key, another place, or other bytes than were written. */
  decrypt(stored: Uint8Array, key: Uint8Array, place: Uint8Array): Uint8Array;
  readonly keyBytes: readonly number[];
}

export type CipherName = 'aescbc' | 'aesgcm' | 'secretbox';

const CBC_IV_BYTES = 16;
const GCM_NONCE_BYTES = 12;
const GCM_TAG_BYTES = 16;
const SECRETBOX_NONCE_BYTES = 24;
const AES_KEY_BYTES = [16, 24, 32];

/** Byte for byte what upstream's providers of these names write. */
export const CIPHERS: Readonly<Record<CipherName, Cipher>> = {
  /** Does not notice a change of what is stored, as upstream's does not; kept for what was written with it. */
  aescbc: {
    keyBytes: AES_KEY_BYTES,
    encrypt(value, key) {
      const iv = randomBytes(CBC_IV_BYTES);
      const cipher = createCipheriv(`aes-${bits(key)}-cbc`, key, iv);
      return Buffer.concat([iv, cipher.update(value), cipher.final()]);
    },
    decrypt(stored, key) {
      const decipher = createDecipheriv(`aes-${bits(key)}-cbc`, key, stored.subarray(0, CBC_IV_BYTES));
      return Buffer.concat([decipher.update(stored.subarray(CBC_IV_BYTES)), decipher.final()]);
    },
  },
  aesgcm: {
    keyBytes: AES_KEY_BYTES,
    encrypt(value, key, place) {
      const nonce = randomBytes(GCM_NONCE_BYTES);
      const cipher = createCipheriv(`aes-${bits(key)}-gcm`, key, nonce).setAAD(place);
      return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
    },
    decrypt(stored, key, place) {
      if (stored.length < GCM_NONCE_BYTES + GCM_TAG_BYTES) throw new Error('the stored bytes are too short');
      const decipher = createDecipheriv(`aes-${bits(key)}-gcm`, key, stored.subarray(0, GCM_NONCE_BYTES), { authTagLength: GCM_TAG_BYTES });
      decipher.setAAD(place).setAuthTag(stored.subarray(-GCM_TAG_BYTES));
      return Buffer.concat([decipher.update(stored.subarray(GCM_NONCE_BYTES, -GCM_TAG_BYTES)), decipher.final()]);
    },
  },
  secretbox: {
    keyBytes: [32],
    encrypt(value, key) {
      const nonce = randomBytes(SECRETBOX_NONCE_BYTES);
      return Buffer.concat([nonce, xsalsa20poly1305(key, nonce).encrypt(value)]);
    },
    decrypt(stored, key) {
      return xsalsa20poly1305(key, stored.subarray(0, SECRETBOX_NONCE_BYTES)).decrypt(stored.subarray(SECRETBOX_NONCE_BYTES));
    },
  },
};

function bits(key: Uint8Array): 128 | 192 | 256 {
  return (key.length * 8) as 128 | 192 | 256;
}
