import { formatGoDuration, fromJsonText, integerOf, type Json, type JsonObject, parseGoDurationMs, toJsonText } from '@dure/api';
import protobuf from 'protobufjs/minimal.js';
import { type FieldType, MessageBook, type MessageField, messageOf } from './protobuf-facts.ts';

const { Reader, Writer } = protobuf;
type WireReader = InstanceType<typeof Reader>;
type WireWriter = InstanceType<typeof Writer>;

/** Objects to and from Kubernetes' protobuf envelope. @see apimachinery, `runtime/serializer/protobuf` */
export interface ProtobufCodec {
  /** True where the kind has a protobuf form. */
  knows(apiVersion: string, kind: string): boolean;
  /** @throws {ProtobufError} The kind has no protobuf form. */
  encode(object: JsonObject): Uint8Array;
  /** One watch event behind its length, as the stream form has it. */
  encodeFrame(type: string, object: JsonObject): Uint8Array;
  /** @throws {ProtobufError} */
  decode(bytes: Uint8Array): JsonObject;
}

/** Bytes that are no object, or an object that has no protobuf form. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
  readonly code = 'PROTOBUF_MALFORMED';
}

const MAGIC = Buffer.from('k8s\0');
const DEPTH_MAX = 200;
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Messages that carry JSON as bytes, in a field that has no name in JSON. */
const RAW_FIELDS = { 'meta.v1.FieldsV1': 'Raw', 'runtime.RawExtension': 'raw', 'apiextensions.v1.JSON': 'raw' } as const;
/** IntOrString's `type`. */
const STRING_KIND = 1;

/** A codec over the committed facts. */
export function protobufCodec(): ProtobufCodec {
  const book = new MessageBook();
  const encode = (object: JsonObject): Uint8Array => {
    const apiVersion = String(object.apiVersion ?? '');
    const kind = String(object.kind ?? '');
    const message = messageOf(apiVersion, kind);
    if (message === undefined) throw new ProtobufError(`encode ${kind} of ${apiVersion}: it has no protobuf form`);
    const raw = new Encoder(book).message(message, object);
    const typeMeta = Writer.create()
      .uint32((1 << 3) | BYTES)
      .string(apiVersion)
      .uint32((2 << 3) | BYTES)
      .string(kind)
      .finish();
    const unknown = Writer.create()
      .uint32((1 << 3) | BYTES)
      .bytes(typeMeta)
      .uint32((2 << 3) | BYTES)
      .bytes(raw)
      .uint32((3 << 3) | BYTES)
      .string('')
      .uint32((4 << 3) | BYTES)
      .string('')
      .finish();
    return Buffer.concat([MAGIC, unknown]);
  };
  return {
    knows: (apiVersion, kind) => messageOf(apiVersion, kind) !== undefined,
    encode,
    encodeFrame(type, object) {
      const extension = Writer.create()
        .uint32((1 << 3) | BYTES)
        .bytes(encode(object))
        .finish();
      const event = Writer.create()
        .uint32((1 << 3) | BYTES)
        .string(type)
        .uint32((2 << 3) | BYTES)
        .bytes(extension)
        .finish();
      const length = Buffer.alloc(4);
      length.writeUInt32BE(event.length);
      return Buffer.concat([length, event]);
    },
    decode(bytes) {
      if (!Buffer.from(bytes.subarray(0, MAGIC.length)).equals(MAGIC)) throw new ProtobufError('the magic number is missing');
      try {
        return decodeEnvelope(book, bytes.subarray(MAGIC.length));
      } catch (error) {
        if (error instanceof ProtobufError) throw error;
        throw new ProtobufError((error as Error).message, { cause: error });
      }
    },
  };
}

function decodeEnvelope(book: MessageBook, bytes: Uint8Array): JsonObject {
  const reader = Reader.create(bytes);
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ((1 << 3) | BYTES)) {
      const inner = Reader.create(reader.bytes());
      while (inner.pos < inner.len) {
        const innerTag = inner.uint32();
        if (innerTag === ((1 << 3) | BYTES)) apiVersion = inner.string();
        else if (innerTag === ((2 << 3) | BYTES)) kind = inner.string();
        else inner.skipType(innerTag & 7);
      }
    } else if (tag === ((2 << 3) | BYTES)) {
      raw = reader.bytes();
    } else {
      reader.skipType(tag & 7);
    }
  }
  const message = messageOf(apiVersion, kind);
  if (message === undefined)
    throw new ProtobufError(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  return { apiVersion, kind, ...new Decoder(book).message(message, Reader.create(raw), 0) };
}

class Decoder {
  readonly #book: MessageBook;

  constructor(book: MessageBook) {
    this.#book = book;
  }

  message(name: string, reader: WireReader, depth: number): JsonObject {
    if (depth > DEPTH_MAX) throw new ProtobufError(`exceeded max depth of ${DEPTH_MAX}`);
    const { byNumber } = this.#book.get(name);
    const object: JsonObject = {};
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      const field = byNumber.get(tag >>> 3);
      if (field === undefined) reader.skipType(tag & 7);
      else this.#field(object, field, tag & 7, reader, depth);
    }
    return object;
  }

  #field(object: JsonObject, field: MessageField, wire: number, reader: WireReader, depth: number): void {
    const { type, jsonName, pointer, always } = field;
    if (type.kind === 'list') {
      const held = object[jsonName];
      const list = Array.isArray(held) ? held : [];
      object[jsonName] = list;
      if (wire === BYTES && (type.of.kind === 'varint' || type.of.kind === 'bool')) {
        const packed = Reader.create(reader.bytes());
        while (packed.pos < packed.len) list.push(this.#value(type.of, VARINT, packed, depth) ?? 0);
      } else {
        const item = this.#value(type.of, wire, reader, depth);
        list.push(item === undefined ? {} : item);
      }
      return;
    }
    if (type.kind === 'map') {
      const held = object[jsonName];
      const map = typeof held === 'object' && held !== null && !Array.isArray(held) ? held : {};
      object[jsonName] = map;
      const [key, value] = this.#mapEntry(type.of, reader, depth);
      if (key !== '__proto__') map[key] = value;
      return;
    }
    const value = this.#value(type, wire, reader, depth);
    if (value === undefined) return;
    if (jsonName === '') {
      Object.assign(object, value);
      return;
    }
    if (pointer || always || !isZero(value)) object[jsonName] = value;
  }

  #mapEntry(type: FieldType, reader: WireReader, depth: number): readonly [string, Json] {
    const entry = Reader.create(reader.bytes());
    let key = '';
    let value: Json | undefined;
    while (entry.pos < entry.len) {
      const tag = entry.uint32();
      if (tag >>> 3 === 1) key = entry.string();
      else if (tag >>> 3 === 2) value = this.#value(type, tag & 7, entry, depth);
      else entry.skipType(tag & 7);
    }
    return [key, value === undefined ? zeroOf(type) : value];
  }

  #value(type: FieldType, wire: number, reader: WireReader, depth: number): Json | undefined {
    if (wire !== wireOf(type)) throw new ProtobufError(`wrong wire type ${wire}`);
    switch (type.kind) {
      case 'string':
        return reader.string();
      case 'bool':
        return reader.bool();
      case 'bytes':
        return Buffer.from(reader.bytes()).toString('base64');
      case 'varint':
        // The library gives an object that prints as the integer.
        return integerOf(String(reader.int64()));
      case 'double':
        return reader.double();
      case 'float':
        return reader.float();
      case 'message':
        return this.#special(type.message, reader.bytes(), depth);
      default:
        throw new ProtobufError('a list or map within a list or map');
    }
  }

  /** Messages that are one value in JSON. */
  #special(name: string, bytes: Uint8Array, depth: number): Json | undefined {
    const reader = Reader.create(bytes);
    switch (name) {
      case 'meta.v1.Time':
      case 'meta.v1.MicroTime': {
        const { seconds, nanos } = this.message(name, reader, depth + 1);
        if (seconds === undefined && nanos === undefined) return undefined;
        const date = new Date(Number(seconds ?? 0) * 1000);
        if (Number.isNaN(date.getTime())) throw new ProtobufError('a time out of range');
        const whole = date.toISOString().slice(0, 19);
        if (name === 'meta.v1.Time') return `${whole}Z`;
        return `${whole}.${String(Math.floor(Number(nanos ?? 0) / 1000)).padStart(6, '0')}Z`;
      }
      case 'meta.v1.Duration':
        return formatGoDuration(Number(this.message(name, reader, depth + 1).duration ?? 0) / 1e6);
      case 'api.resource.Quantity':
        return this.message(name, reader, depth + 1).string ?? '0';
      case 'util.intstr.IntOrString': {
        const { type, intVal, strVal } = this.message(name, reader, depth + 1);
        return type === STRING_KIND ? (strVal ?? '') : (intVal ?? 0);
      }
      case 'meta.v1.FieldsV1':
      case 'runtime.RawExtension':
      case 'apiextensions.v1.JSON': {
        const raw = this.message(name, reader, depth + 1)[RAW_FIELDS[name]];
        if (typeof raw !== 'string' || raw === '') return undefined;
        return fromJsonText(Buffer.from(raw, 'base64').toString('utf8')) as Json;
      }
      case 'apiextensions.v1.JSONSchemaPropsOrArray': {
        const { schema, jSONSchemas } = this.message(name, reader, depth + 1);
        return schema ?? jSONSchemas ?? [];
      }
      case 'apiextensions.v1.JSONSchemaPropsOrBool': {
        const { schema, allows } = this.message(name, reader, depth + 1);
        return schema ?? allows ?? false;
      }
      case 'apiextensions.v1.JSONSchemaPropsOrStringArray': {
        const { schema, property } = this.message(name, reader, depth + 1);
        return schema ?? property ?? [];
      }
      default: {
        const value = this.message(name, reader, depth + 1);
        return name.endsWith('.ExtraValue') ? (value.items ?? []) : value;
      }
    }
  }
}

class Encoder {
  readonly #book: MessageBook;

  constructor(book: MessageBook) {
    this.#book = book;
  }

  message(name: string, object: JsonObject): Uint8Array {
    const writer = Writer.create();
    for (const field of this.#book.get(name).fields) {
      // What is inline is read from the same object; its message takes only its own fields.
      if (field.jsonName === '') this.#write(writer, field.number, field.type, object);
      else {
        const value = object[field.jsonName];
        if (value !== undefined && value !== null) this.#write(writer, field.number, field.type, value);
      }
    }
    return writer.finish();
  }

  #write(writer: WireWriter, number: number, type: FieldType, value: Json): void {
    switch (type.kind) {
      case 'list':
        for (const item of Array.isArray(value) ? value : []) this.#write(writer, number, type.of, item);
        return;
      case 'map':
        for (const key of Object.keys(value as JsonObject).sort()) {
          const entry = Writer.create()
            .uint32((1 << 3) | BYTES)
            .string(key);
          this.#write(entry, 2, type.of, (value as JsonObject)[key] ?? '');
          writer.uint32((number << 3) | BYTES).bytes(entry.finish());
        }
        return;
      case 'string':
        writer.uint32((number << 3) | BYTES).string(String(value));
        return;
      case 'bytes':
        writer.uint32((number << 3) | BYTES).bytes(Buffer.from(String(value), 'base64'));
        return;
      case 'bool':
        writer.uint32((number << 3) | VARINT).bool(value === true);
        return;
      case 'varint':
        writer.uint32((number << 3) | VARINT).int64(typeof value === 'bigint' ? String(value) : Number(value));
        return;
      case 'double':
        writer.uint32((number << 3) | FIXED64).double(Number(value));
        return;
      case 'float':
        writer.uint32((number << 3) | FIXED32).float(Number(value));
        return;
      case 'message':
        writer.uint32((number << 3) | BYTES).bytes(this.#special(type.message, value));
    }
  }

  #special(name: string, value: Json): Uint8Array {
    switch (name) {
      case 'meta.v1.Time':
      case 'meta.v1.MicroTime': {
        const ms = Date.parse(String(value));
        const fraction = /\.(\d+)/.exec(String(value))?.[1] ?? '';
        return this.message(name, { seconds: Math.floor(ms / 1000), nanos: Number(fraction.padEnd(9, '0').slice(0, 9)) });
      }
      case 'meta.v1.Duration':
        return this.message(name, { duration: (parseGoDurationMs(String(value)) ?? 0) * 1e6 });
      case 'api.resource.Quantity':
        return this.message(name, { string: String(value) });
      case 'util.intstr.IntOrString':
        return typeof value === 'number'
          ? this.message(name, { type: 0, intVal: value, strVal: '' })
          : this.message(name, { type: STRING_KIND, intVal: 0, strVal: value });
      case 'meta.v1.FieldsV1':
      case 'runtime.RawExtension':
      case 'apiextensions.v1.JSON':
        return this.message(name, { [RAW_FIELDS[name]]: Buffer.from(toJsonText(value)).toString('base64') });
      case 'apiextensions.v1.JSONSchemaPropsOrArray':
        return this.message(name, Array.isArray(value) ? { jSONSchemas: value } : { schema: value });
      case 'apiextensions.v1.JSONSchemaPropsOrBool':
        // With a schema upstream's decoder takes it for allowed.
        return this.message(name, typeof value === 'boolean' ? { allows: value } : { allows: true, schema: value });
      case 'apiextensions.v1.JSONSchemaPropsOrStringArray':
        return this.message(name, Array.isArray(value) ? { property: value } : { schema: value });
      default:
        if (name.endsWith('.ExtraValue')) return this.message(name, { items: value });
        return typeof value === 'object' && value !== null && !Array.isArray(value) ? this.message(name, value) : new Uint8Array();
    }
  }
}

function wireOf(type: FieldType): number {
  switch (type.kind) {
    case 'bool':
    case 'varint':
      return VARINT;
    case 'double':
      return FIXED64;
    case 'float':
      return FIXED32;
    default:
      return BYTES;
  }
}

function isZero(value: Json): boolean {
  if (value === '' || value === 0 || value === false || value === null) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function zeroOf(type: FieldType): Json {
  switch (type.kind) {
    case 'string':
    case 'bytes':
      return '';
    case 'bool':
      return false;
    case 'varint':
    case 'double':
    case 'float':
      return 0;
    case 'list':
      return [];
    default:
      return type.kind === 'message' && type.message === 'api.resource.Quantity' ? '0' : {};
  }
}
