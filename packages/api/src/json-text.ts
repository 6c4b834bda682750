/**
 * JSON text of API objects. An integer of 64 bits that a double does not keep, one beyond 2^53 - 1 either way, is a bigint in an object;
 * every other number is a number, integers beyond 64 bits among them, as in upstream's decoder. So objects without such integers, which
 * is nearly all of them, are read and written by the platform's JSON alone.
 */
import type { Json, JsonObject } from './definition.ts';
import { setOwn } from './json-value.ts';

/** Any integer that a double may not keep has as many digits. Written out sixteen times, the engine skips through text in steps of sixteen. */
const WIDE = new RegExp('[0-9]'.repeat(16));
const WIDE_INTEGER = /(?<=[\s:,[]|^)-?[0-9]{16,}(?=[\s,\]}]|$)/g;
const INTEGER = /^-?[0-9]+$/;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** The value that `text` stands for. @throws {SyntaxError} It is not JSON. */
export function fromJsonText(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return WIDE.test(text) && holdsWideInteger(text) ? new ExactReader(text).value() : value;
}

/** `JSON.stringify`, that writes bigints as what they are. @param indent Spaces for each level; none: all on one line. */
export function toJsonText(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return written(value as Json, ' '.repeat(indent ?? 0), '\n');
  }
}

/** A decimal integer as objects hold it: bigint where it has 64 bits and a double does not keep it. */
export function integerOf(digits: string | bigint): number | bigint {
  const number = Number(digits);
  // Millions of digits take long to become a bigint, and need not.
  if (Number.isSafeInteger(number) || Math.abs(number) > 2 ** 63) return number;
  const value = BigInt(digits);
  return value < INT64_MIN || value > INT64_MAX ? number : value;
}

/** Index of the quote that closes the string which is opened at `at` of JSON text; the text's end where none does. */
export function closingQuote(text: string, at: number): number {
  for (let index = at + 1; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x5c) index += 1;
    else if (code === 0x22) return index;
  }
  return text.length;
}

function holdsWideInteger(text: string): boolean {
  for (const [digits] of text.matchAll(WIDE_INTEGER)) if (!Number.isSafeInteger(Number(digits))) return true;
  return false;
}

/** Reads text that is known to be JSON. */
class ExactReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): Json {
    switch (this.#next()) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      default:
        return this.#literal();
    }
  }

  #object(): JsonObject {
    const object: JsonObject = {};
    while (this.#goOn('}')) {
      this.#next();
      const key = this.#string();
      this.#next();
      this.#at += 1; // The colon.
      setOwn(object, key, this.value());
    }
    return object;
  }

  #array(): Json[] {
    const list: Json[] = [];
    while (this.#goOn(']')) list.push(this.value());
    return list;
  }

  /** Steps over what opens a list or parts its items; false once it has stepped over what closes it. */
  #goOn(close: string): boolean {
    const isClosed = this.#next() === close;
    this.#at += 1;
    if (isClosed || this.#next() !== close) return !isClosed;
    this.#at += 1; // Right behind the opening: it is empty.
    return false;
  }

  #string(): string {
    const start = this.#at;
    this.#at = closingQuote(this.#text, start) + 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #literal(): Json {
    const start = this.#at;
    while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text.charAt(this.#at))) this.#at += 1;
    const text = this.#text.slice(start, this.#at);
    return INTEGER.test(text) ? integerOf(text) : (JSON.parse(text) as Json);
  }

  /** The next character that is no white space. */
  #next(): string {
    while (/\s/.test(this.#text.charAt(this.#at))) this.#at += 1;
    return this.#text.charAt(this.#at);
  }
}

/** @param newline What a line of this level begins with, where there is an `indent`. */
function written(value: Json | undefined, indent: string, newline: string): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const within = newline + indent;
  const members = Array.isArray(value)
    ? value.map((item) => written(item, indent, within))
    : Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => `${JSON.stringify(key)}:${indent === '' ? '' : ' '}${written(item, indent, within)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  if (members.length === 0) return `${open}${close}`;
  return indent === '' ? `${open}${members.join(',')}${close}` : `${open}${within}${members.join(`,${within}`)}${newline}${close}`;
}
