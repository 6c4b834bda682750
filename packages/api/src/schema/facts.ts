/**
 * Reads the compact facts in `schema/*.json`: one string for each field. Grammar, parts separated by one space:
 *
 *   TYPE [!] [zero] [always] [default=JSON] [enum=A,B] [list=atomic|set|map:KEY,KEY] [map=atomic] [patch=STRATEGY[:KEY]]
 *   TYPE := string | bool | int32 | int64 | double | bytes | time | microtime | duration | quantity | intstr | fields | raw | any
 *         | @DEFINITION | []TYPE | {}TYPE
 *
 * `!` required; `zero` a struct that is always on the wire; `always` a plain value that is. Semantics after a list or map type
 * belong to the outermost list or map. `enum` serves the static types only: the API does not publish it, and what a value
 * may be is each kind's validation.
 */
import type { Json, SchemaNode } from '../definition.ts';

export type DefinitionFacts = Readonly<Record<string, string>>;

const PREFIXES: readonly (readonly [string, string])[] = [
  ['meta.', 'io.k8s.apimachinery.pkg.apis.meta.'],
  ['apiextensions.', 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.'],
  ['apiregistration.', 'io.k8s.kube-aggregator.pkg.apis.apiregistration.'],
  ['version.', 'io.k8s.apimachinery.pkg.version.'],
  ['', 'io.k8s.api.'],
];

/** Definitions of values that are one JSON value each, by their published names. */
export const LEAF_DEFINITIONS: Readonly<Record<string, SchemaNode>> = {
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': { type: 'string', format: 'date-time' },
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': { type: 'string', format: 'date-time' },
  'io.k8s.apimachinery.pkg.apis.meta.v1.Duration': { type: 'string' },
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1': { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { 'x-kubernetes-int-or-string': true, format: 'int-or-string' },
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { type: 'string' },
};

const LEAVES: Readonly<Record<string, SchemaNode>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
  time: { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.Time' },
  microtime: { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime' },
  duration: { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.Duration' },
  fields: { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1' },
  raw: { ref: 'io.k8s.apimachinery.pkg.runtime.RawExtension' },
  intstr: { ref: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString' },
  quantity: { ref: 'io.k8s.apimachinery.pkg.api.resource.Quantity' },
};

/** `core.v1.Pod` as `io.k8s.api.core.v1.Pod`. */
export function publishedName(short: string): string {
  for (const [prefix, published] of PREFIXES) if (short.startsWith(prefix)) return published + short.slice(prefix.length);
  return short;
}

/** The reverse of {@link publishedName}; `undefined` for other names. */
export function shortName(published: string): string | undefined {
  for (const [prefix, long] of PREFIXES) if (published.startsWith(long)) return prefix + published.slice(long.length);
  return undefined;
}

/** One definition as a schema node. Equal fields of all definitions share one node through `shared`. */
export function parseDefinition(facts: DefinitionFacts, shared: Map<string, SchemaNode>): SchemaNode {
  if (facts.$ === 'any') return { 'x-kubernetes-preserve-unknown-fields': true };
  const properties: Record<string, SchemaNode> = {};
  const required: string[] = [];
  for (const [name, text] of Object.entries(facts)) {
    if (name === '$') continue;
    properties[name] = parseField(text, shared);
    if (text.split(' ').includes('!')) required.push(name);
  }
  return {
    type: 'object',
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
    ...(required.length > 0 ? { required } : {}),
    ...(facts.$ === 'map=atomic' ? { 'x-kubernetes-map-type': 'atomic' as const } : {}),
  };
}

function parseField(text: string, shared: Map<string, SchemaNode>): SchemaNode {
  const known = shared.get(text);
  if (known !== undefined) return known;
  const node = Object.freeze(expandField(text, shared));
  shared.set(text, node);
  return node;
}

function expandField(text: string, shared: Map<string, SchemaNode>): SchemaNode {
  const [type = '', ...parts] = text.split(' ');
  const marks = new Map(parts.map((part) => [part.split('=')[0] ?? '', part.slice(part.indexOf('=') + 1)]));
  const base = expandType(type, shared);
  const zero = marks.has('zero') ? {} : marks.has('always') ? zeroOf(type) : undefined;
  const given = marks.get('default');
  const fallback: Json | undefined = given === undefined ? zero : (JSON.parse(given) as Json);
  const [listType, listKeys] = (marks.get('list') ?? '').split(':');
  const [strategy, mergeKey] = (marks.get('patch') ?? '').split(':');
  return {
    ...base,
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(listType ? { 'x-kubernetes-list-type': listType as 'atomic' | 'set' | 'map' } : {}),
    ...(listKeys ? { 'x-kubernetes-list-map-keys': listKeys.split(',') } : {}),
    ...(marks.has('map') ? { 'x-kubernetes-map-type': marks.get('map') as 'atomic' | 'granular' } : {}),
    ...(strategy ? { 'x-kubernetes-patch-strategy': strategy } : {}),
    ...(mergeKey ? { 'x-kubernetes-patch-merge-key': mergeKey } : {}),
  };
}

function expandType(type: string, shared: Map<string, SchemaNode>): SchemaNode {
  if (type.startsWith('[]')) return { type: 'array', items: parseField(type.slice(2), shared) };
  if (type.startsWith('{}')) return { type: 'object', additionalProperties: parseField(type.slice(2), shared) };
  if (type.startsWith('@')) return { ref: publishedName(type.slice(1)) };
  const leaf = LEAVES[type];
  if (leaf === undefined) throw new Error(`schema facts: unknown type ${JSON.stringify(type)}`);
  return leaf;
}

function zeroOf(type: string): Json | undefined {
  switch (type) {
    case 'string':
      return '';
    case 'bool':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
      return 0;
    default:
      return undefined;
  }
}
