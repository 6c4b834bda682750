import facts from '../../schema/protobuf.json' with { type: 'json' };

/** The type of a field's value; lists and maps hold one of the others. */
export type FieldType =
  | { readonly kind: 'string' | 'bool' | 'bytes' | 'varint' | 'double' | 'float' }
  | { readonly kind: 'message'; readonly message: string }
  | { readonly kind: 'list' | 'map'; readonly of: FieldType };

export interface MessageField {
  /** '': its fields belong to the message around it. */
  readonly jsonName: string;
  readonly number: number;
  readonly type: FieldType;
  /** A zero value that is there is one that was set. */
  readonly pointer: boolean;
  /** In JSON also where it is zero. */
  readonly always: boolean;
}

export interface MessageFacts {
  readonly fields: readonly MessageField[];
  readonly byNumber: ReadonlyMap<number, MessageField>;
}

const groups: Readonly<Record<string, string>> = facts.groups;
const texts: Readonly<Record<string, string>> = facts.messages;

/** Kinds that stand in every group under the same meaning. */
const META_KINDS: ReadonlySet<string> = new Set([
  'Status',
  'DeleteOptions',
  'CreateOptions',
  'UpdateOptions',
  'PatchOptions',
  'ListOptions',
  'GetOptions',
  'WatchEvent',
  'APIGroup',
  'APIGroupList',
  'APIResourceList',
  'APIVersions',
]);

/** The message of an object, by what it says of itself; `undefined` where it has none. */
export function messageOf(apiVersion: string, kind: string): string | undefined {
  const group = Object.hasOwn(groups, apiVersion) ? groups[apiVersion] : undefined;
  const name = `${group}.${kind}`;
  if (group !== undefined && Object.hasOwn(texts, name)) return name;
  return META_KINDS.has(kind) ? `meta.v1.${kind}` : undefined;
}

/** Parses the facts of messages when they are first met. */
export class MessageBook {
  readonly #parsed = new Map<string, MessageFacts>();

  /** @throws {RangeError} There is no such message. */
  get(name: string): MessageFacts {
    const known = this.#parsed.get(name);
    if (known !== undefined) return known;
    const text = Object.hasOwn(texts, name) ? texts[name] : undefined;
    if (text === undefined) throw new RangeError(`protobuf: no message ${name}`);
    const fields = text === '' ? [] : text.split(' ').map(parseField);
    const parsed = { fields, byNumber: new Map(fields.map((field) => [field.number, field])) };
    this.#parsed.set(name, parsed);
    return parsed;
  }
}

function parseField(text: string): MessageField {
  const [jsonName = '', number = '', ...rest] = text.split(':');
  const [, type = '', flags = ''] = /^(.*?)([*^]*)$/.exec(rest.join(':')) ?? [];
  return { jsonName, number: Number(number), type: parseType(type), pointer: flags.includes('*'), always: flags.includes('^') };
}

function parseType(text: string): FieldType {
  if (text.startsWith('[]')) return { kind: 'list', of: parseType(text.slice(2)) };
  if (text.startsWith('{}')) return { kind: 'map', of: parseType(text.slice(2)) };
  if (text.startsWith('@')) return { kind: 'message', message: text.slice(1) };
  switch (text) {
    case 'string':
    case 'bool':
    case 'bytes':
    case 'double':
    case 'float':
      return { kind: text };
    case 'int32':
    case 'int64':
    case 'uint32':
    case 'uint64':
      return { kind: 'varint' };
    default:
      throw new RangeError(`protobuf: no type ${text}`);
  }
}
