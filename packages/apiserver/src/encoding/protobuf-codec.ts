import type { JsonObject } from '@dure/api';

/** Objects to and from Kubernetes' protobuf envelope. */
export interface ProtobufCodec {
  /** True where the kind has a protobuf form. */
  knows(apiVersion: string, kind: string): boolean;
  /** @throws {ProtobufError} The kind has no protobuf form. */
  encode(object: JsonObject): Uint8Array;
  /** One watch event, length-delimited. */
  encodeFrame(type: string, object: JsonObject): Uint8Array;
  /** @throws {ProtobufError} */
  decode(bytes: Uint8Array): unknown;
}

/** Bytes that are no object, or an object that has no protobuf form. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
  readonly code = 'PROTOBUF_MALFORMED';
}

export function protobufCodec(): ProtobufCodec {
  const refuse = (): never => {
    throw new ProtobufError('no protobuf forms are known');
  };
  return { knows: () => false, encode: refuse, encodeFrame: refuse, decode: refuse };
}
