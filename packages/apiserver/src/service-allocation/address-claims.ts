import { addressHolder, type IPAddress, type JsonObject, serviceAddress } from '@dure/api';
import { type Random, rfc3339Seconds, uuid } from '@dure/foundation';
import type { Revision } from '@dure/store';
import { decodeStored, encodeStored } from '../registry/stored-object.ts';
import type { ClaimForm } from './claims.ts';

/** Claims of addresses are IPAddress objects: anybody can read them, and keep an address from being given out by making one. */
export function addressClaims(random: Random): ClaimForm {
  return {
    encode(address, { claimedAtMs, ...holder }) {
      const { metadata, spec } = serviceAddress(address, holder) as unknown as { readonly metadata: JsonObject; readonly spec: JsonObject };
      const creationTimestamp = rfc3339Seconds(claimedAtMs);
      return encodeStored({
        kind: 'IPAddress',
        apiVersion: 'networking.k8s.io/v1',
        metadata: { ...metadata, uid: uuid(random), creationTimestamp },
        spec,
      });
    },
    decode(stored) {
      const object = decodeStored(stored, 0 as Revision) as unknown as IPAddress;
      const holder = addressHolder(object);
      return holder && { ...holder, claimedAtMs: Date.parse(object.metadata.creationTimestamp) };
    },
  };
}
