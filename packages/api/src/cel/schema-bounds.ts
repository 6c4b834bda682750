/** How much of everything objects of a structural schema can hold: what rules are held to cost, before there is an object. */
import type { SchemaNode } from '../definition.ts';
import { escapedName } from './schema-values.ts';

/** A place in a schema. Units of `size` are what CEL's `size()` counts. */
export interface Bounds {
  /** The most items, entries, bytes or characters; 0 for what has no size. */
  readonly size: number;
  /** Of the shortest JSON that the schema lets in. */
  readonly bytesMin: number;
  /** What a list or map holds. */
  readonly items?: Bounds;
  readonly keys?: Bounds;
  /** By their escaped names. */
  readonly fields?: ReadonlyMap<string, Bounds>;
}

/** Upstream's largest request, by which everything without a bound of its own is bounded; the same whatever this server takes. */
const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
/** Strings of these formats in JSON, quotes included. */
const FORMAT_BYTES: Readonly<Record<string, { readonly min: number; readonly max: number }>> = {
  duration: { min: 3, max: 32 },
  date: { min: 12, max: 12 },
  'date-time': { min: 21, max: 32 },
};
/** `maxLength` counts characters, requests count bytes. */
const CHARACTER_BYTES_MAX = 4;
const TEXT: Bounds = { size: 0, bytesMin: 2 };

/** @param root Objects that stand for themselves have names and say what they are. @returns `undefined`: rules do not see it. */
export function boundsOf(node: SchemaNode, root = false): Bounds | undefined {
  if (node['x-kubernetes-int-or-string'] === true) return { size: textSize(node), bytesMin: 1 };
  switch (node.type) {
    case 'object':
      return typeof node.additionalProperties === 'object' ? boundsOfMap(node, node.additionalProperties) : boundsOfObject(node, root);
    case 'array': {
      const items = node.items === undefined ? undefined : boundsOf(node.items, isEmbedded(node.items));
      if (items === undefined) return undefined;
      return { size: limit(node.maxItems) ?? Math.floor((REQUEST_BYTES_MAX - 2) / (items.bytesMin + 1)), bytesMin: 2, items };
    }
    case 'string': {
      const format = FORMAT_BYTES[node.format ?? ''];
      if (format !== undefined) return { size: format.max, bytesMin: format.min };
      return { size: node.format === 'byte' ? (limit(node.maxLength) ?? REQUEST_BYTES_MAX - 2) : textSize(node), bytesMin: 2 };
    }
    case 'boolean':
      return { size: 0, bytesMin: 4 };
    case 'integer':
    case 'number':
      return { size: 0, bytesMin: 1 };
    default:
      return undefined;
  }
}

/** How often the schema at `bounds` can occur in one object that nothing else bounds. */
export function occurrencesMax({ bytesMin }: Bounds): number {
  return Math.floor(REQUEST_BYTES_MAX / (bytesMin + 1));
}

/** How many of its children an instance of `node` has at most, each kind of them; `undefined`: no bound is declared. */
export function childrenMax(node: SchemaNode): number | undefined {
  if (node.type === 'array') return limit(node.maxItems);
  return node.type === 'object' && node.additionalProperties !== undefined ? limit(node.maxProperties) : 1;
}

export function isEmbedded(node: SchemaNode): boolean {
  return node['x-kubernetes-embedded-resource'] === true;
}

function boundsOfMap(node: SchemaNode, values: SchemaNode): Bounds | undefined {
  const items = boundsOf(values, isEmbedded(values));
  if (items === undefined) return undefined;
  // A key's quotes, colon and comma and two characters of it come to each value.
  return { size: limit(node.maxProperties) ?? Math.floor((REQUEST_BYTES_MAX - 2) / (items.bytesMin + 6)), bytesMin: 2, keys: TEXT, items };
}

function boundsOfObject(node: SchemaNode, root: boolean): Bounds {
  const properties = root ? { ...node.properties, ...resourceProperties(node) } : (node.properties ?? {});
  const fields = new Map<string, Bounds>();
  let bytesMin = 2;
  for (const [name, child] of Object.entries(properties)) {
    const bounds = boundsOf(child, isEmbedded(child));
    if (bounds === undefined) continue;
    const escaped = escapedName(name);
    if (escaped !== undefined) fields.set(escaped, bounds);
    // Fields with a default need not be sent.
    if (node.required?.includes(name) === true && child.default === undefined) {
      bytesMin += Buffer.byteLength(name) + bounds.bytesMin + 4;
    }
  }
  return { size: 0, bytesMin, fields };
}

/** What every object has, unless its schema declares the whole of it. */
function resourceProperties({ properties }: SchemaNode): Readonly<Record<string, SchemaNode>> {
  const names = properties?.metadata?.properties;
  const isWhole =
    properties?.kind?.type === 'string' &&
    properties.apiVersion?.type === 'string' &&
    properties.metadata?.type === 'object' &&
    names?.name?.type === 'string' &&
    names.generateName?.type === 'string';
  if (isWhole) return {};
  const text: SchemaNode = { type: 'string' };
  return { kind: text, apiVersion: text, metadata: { type: 'object', properties: { name: text, generateName: text } } };
}

function textSize({ maxLength, enum: values }: SchemaNode): number {
  if (maxLength !== undefined) return Math.max(maxLength, 0) * CHARACTER_BYTES_MAX;
  if (values === undefined || values.length === 0) return REQUEST_BYTES_MAX - 2;
  return Math.max(0, ...values.map((value) => (typeof value === 'string' ? Buffer.byteLength(value) : 0)));
}

function limit(declared: number | undefined): number | undefined {
  return declared === undefined ? undefined : Math.max(declared, 0);
}
