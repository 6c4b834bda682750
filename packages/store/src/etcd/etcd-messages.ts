import protobuf from 'protobufjs/light.js';

/*
 * The part of etcd's v3 API that the store speaks: only the fields that it sends or reads, others are skipped in decoding.
 * Field numbers are those of etcd's `rpc.proto`, `kv.proto`; the same in 3.3 to 3.6. @see https://etcd.io/docs/v3.5/learning/api/
 */

/** One key as etcd holds it. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly value: Uint8Array;
}

export interface ResponseHeader {
  readonly revision: number;
}

export interface RangeRequest {
  readonly key: Uint8Array;
  /** Exclusive. Absent: only `key`. */
  readonly rangeEnd?: Uint8Array;
  readonly limit?: number;
  /** 0 or absent: the newest. */
  readonly revision?: number;
  readonly countOnly?: boolean;
}

export interface RangeResponse {
  readonly header: ResponseHeader;
  readonly kvs: readonly KeyValue[];
  /** Keys in the range, however many were asked for. */
  readonly count: number;
}

/** Succeeds where the key's last revision is `modRevision`; 0: where it is absent. */
export interface Compare {
  readonly key: Uint8Array;
  readonly modRevision: number;
}

export type RequestOp =
  | { readonly requestRange: RangeRequest }
  | { readonly requestPut: { readonly key: Uint8Array; readonly value: Uint8Array } }
  | { readonly requestDeleteRange: { readonly key: Uint8Array } };

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly responseRange?: Pick<RangeResponse, 'kvs'> }[];
}

export interface WatchRequest {
  readonly createRequest: {
    readonly key: Uint8Array;
    readonly rangeEnd: Uint8Array;
    readonly startRevision: number;
    readonly prevKv: boolean;
    /** Lets etcd split what would be one large message. */
    readonly fragment: boolean;
  };
}

export interface WatchEvent {
  /** 0: put, 1: delete. */
  readonly type: number;
  readonly kv: KeyValue;
  /** Absent where the key was absent, and where its bytes have been compacted since. */
  readonly prevKv?: KeyValue;
}

export interface WatchResponse {
  readonly header: ResponseHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** More of the same response follows. */
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

/** A call of one answer, or a stream of them both ways: where it goes, and what travels. */
export interface EtcdMethod<Request, Response> {
  readonly path: string;
  encode(request: Request): Buffer;
  /** @throws {Error} The bytes are no such message. */
  decode(bytes: Buffer): Response;
}

const field = (id: number, type: string): protobuf.IField => ({ id, type });
const repeated = (id: number, type: string): protobuf.IField => ({ id, type, rule: 'repeated' });

const types = protobuf.Root.fromJSON({
  nested: {
    ResponseHeader: { fields: { revision: field(3, 'int64') } },
    KeyValue: {
      fields: { key: field(1, 'bytes'), createRevision: field(2, 'int64'), modRevision: field(3, 'int64'), value: field(5, 'bytes') },
    },
    RangeRequest: {
      fields: {
        key: field(1, 'bytes'),
        rangeEnd: field(2, 'bytes'),
        limit: field(3, 'int64'),
        revision: field(4, 'int64'),
        countOnly: field(9, 'bool'),
      },
    },
    RangeResponse: { fields: { header: field(1, 'ResponseHeader'), kvs: repeated(2, 'KeyValue'), count: field(4, 'int64') } },
    PutRequest: { fields: { key: field(1, 'bytes'), value: field(2, 'bytes') } },
    DeleteRangeRequest: { fields: { key: field(1, 'bytes') } },
    // Result and target are enumerations; EQUAL is 0, MOD is 2.
    Compare: { fields: { result: field(1, 'int32'), target: field(2, 'int32'), key: field(3, 'bytes'), modRevision: field(6, 'int64') } },
    RequestOp: {
      fields: {
        requestRange: field(1, 'RangeRequest'),
        requestPut: field(2, 'PutRequest'),
        requestDeleteRange: field(3, 'DeleteRangeRequest'),
      },
    },
    ResponseOp: { fields: { responseRange: field(1, 'RangeResponse') } },
    TxnRequest: { fields: { compare: repeated(1, 'Compare'), success: repeated(2, 'RequestOp'), failure: repeated(3, 'RequestOp') } },
    TxnResponse: { fields: { header: field(1, 'ResponseHeader'), succeeded: field(2, 'bool'), responses: repeated(3, 'ResponseOp') } },
    CompactionRequest: { fields: { revision: field(1, 'int64') } },
    CompactionResponse: { fields: { header: field(1, 'ResponseHeader') } },
    WatchCreateRequest: {
      fields: {
        key: field(1, 'bytes'),
        rangeEnd: field(2, 'bytes'),
        startRevision: field(3, 'int64'),
        prevKv: field(6, 'bool'),
        fragment: field(8, 'bool'),
      },
    },
    WatchRequest: { fields: { createRequest: field(1, 'WatchCreateRequest') } },
    Event: { fields: { type: field(1, 'int32'), kv: field(2, 'KeyValue'), prevKv: field(3, 'KeyValue') } },
    WatchResponse: {
      fields: {
        header: field(1, 'ResponseHeader'),
        created: field(3, 'bool'),
        canceled: field(4, 'bool'),
        compactRevision: field(5, 'int64'),
        cancelReason: field(6, 'string'),
        fragment: field(7, 'bool'),
        events: repeated(11, 'Event'),
      },
    },
    AuthenticateRequest: { fields: { name: field(1, 'string'), password: field(2, 'string') } },
    AuthenticateResponse: { fields: { token: field(2, 'string') } },
  },
});

/** Revisions stay far below 2^53: a thousand writes a second would take 285 000 years. */
const READ = { longs: Number, defaults: true, arrays: true } as const;

function method<Request extends object, Response>(path: string, request: string, response: string): EtcdMethod<Request, Response> {
  const [requestType, responseType] = [types.lookupType(request), types.lookupType(response)];
  return {
    path,
    encode: (message) => Buffer.from(requestType.encode(message).finish()),
    decode: (bytes) => responseType.toObject(responseType.decode(bytes), READ) as Response,
  };
}

export const RANGE = method<RangeRequest, RangeResponse>('/etcdserverpb.KV/Range', 'RangeRequest', 'RangeResponse');
export const TXN = method<TxnRequest, TxnResponse>('/etcdserverpb.KV/Txn', 'TxnRequest', 'TxnResponse');
export const COMPACT = method<{ readonly revision: number }, unknown>(
  '/etcdserverpb.KV/Compact',
  'CompactionRequest',
  'CompactionResponse',
);
export const WATCH = method<WatchRequest, WatchResponse>('/etcdserverpb.Watch/Watch', 'WatchRequest', 'WatchResponse');
export const AUTHENTICATE = method<{ readonly name: string; readonly password: string }, { readonly token: string }>(
  '/etcdserverpb.Auth/Authenticate',
  'AuthenticateRequest',
  'AuthenticateResponse',
);

const COMPARE_MOD = 2;

/** As it travels: equality of the revision of the last write. */
export function compareModRevision(key: Uint8Array, modRevision: number): Compare {
  // The wire's further fields; EQUAL is the default of `result`. An explicit 0 must be sent: it says which of the union's members is meant.
  return { target: COMPARE_MOD, key, modRevision } as Compare;
}
