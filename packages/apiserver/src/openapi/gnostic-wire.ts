/** How gnostic's messages for OpenAPI documents are written, of whichever version. @see https://github.com/google/gnostic-models */
import type { Json, JsonObject } from '@dure/api';
import protobuf from 'protobufjs/minimal.js';
import { renderYaml } from '../encoding/yaml-text.ts';

const { Writer } = protobuf;
export type WireWriter = InstanceType<typeof Writer>;

const BYTES = 2;
const VARINT = 0;
const DOUBLE = 1;

/** A message that stands for itself. */
export function encoded(write: (writer: WireWriter) => void): Uint8Array {
  const writer = Writer.create();
  write(writer);
  return writer.finish();
}

/** Everything `x-...`, each as YAML text, as gnostic keeps them. */
export function extensions(writer: WireWriter, number: number, value: JsonObject): void {
  for (const [name, extension] of Object.entries(value)) {
    if (name.startsWith('x-')) named(writer, number, name, (inner) => text(inner, 2, renderYaml(extension)));
  }
}

export function any(writer: WireWriter, number: number, value: Json | undefined): void {
  if (value !== undefined) message(writer, number, (inner) => text(inner, 2, renderYaml(value)));
}

export function named(writer: WireWriter, number: number, name: string, write: (value: WireWriter) => void): void {
  message(writer, number, (pair) => {
    text(pair, 1, name);
    message(pair, 2, write);
  });
}

export function message(writer: WireWriter, number: number, write: (inner: WireWriter) => void): void {
  const inner = Writer.create();
  write(inner);
  writer.uint32((number << 3) | BYTES).bytes(inner.finish());
}

export function text(writer: WireWriter, number: number, value: Json | undefined): void {
  if (typeof value === 'string' && value !== '') writer.uint32((number << 3) | BYTES).string(value);
}

export function flag(writer: WireWriter, number: number, value: Json | undefined): void {
  if (value === true) writer.uint32((number << 3) | VARINT).bool(true);
}

export function object(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

export function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** Floating point; 0 is written too, since a bound of 0 is one. */
export function double(writer: WireWriter, number: number, value: Json | undefined): void {
  if (typeof value === 'number') writer.uint32((number << 3) | DOUBLE).double(value);
}

export function integer(writer: WireWriter, number: number, value: Json | undefined): void {
  if (typeof value === 'number') writer.uint32((number << 3) | VARINT).int64(value);
}

/** A member of a union, where false is a value too. */
export function choice(writer: WireWriter, number: number, value: boolean): void {
  writer.uint32((number << 3) | VARINT).bool(value);
}
