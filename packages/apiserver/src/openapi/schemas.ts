import type { JsonObject, KindDefinition, KindRegistry, SchemaBook, SchemaNode } from '@dure/api';
import { publishedSchema } from './custom-schema.ts';
import { describeField, describeType } from './descriptions.ts';
import { versionInfoSchema } from './discovery-operations.ts';

/** Which dialect a document is written in. */
export type Dialect = 'v2' | 'v3';

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const REF_PREFIX: Readonly<Record<Dialect, string>> = { v2: '#/definitions/', v3: '#/components/schemas/' };
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const INT_OR_STRING = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';

/** Subresources that are streams or proxies, not objects. */
export const CONNECTED: ReadonlySet<string> = new Set(['attach', 'exec', 'portforward', 'proxy']);

/** Name of the schema that objects of a kind have in documents. Custom kinds are named after their group, reversed. */
export function schemaName(
  definition: Pick<KindDefinition, 'group' | 'kind'>,
  version: { readonly name: string; readonly schema: SchemaNode },
): string {
  return version.schema.ref ?? customName(definition.group, version.name, definition.kind);
}

/** Name of the schema of a body that is named by group, version and kind only; `undefined` where the book has none. */
export function bodySchemaName(book: SchemaBook, { group, version, kind }: GroupVersionKind): string | undefined {
  const builtin = `io.k8s.api.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`;
  return book.has(builtin) ? builtin : undefined;
}

/** Every schema that the documents of `definitions` speak of, by name, in one dialect. */
export function renderSchemas(
  kinds: KindRegistry,
  book: SchemaBook,
  dialect: Dialect,
  isShown: (version: { readonly group: string; readonly version: string }) => boolean,
): JsonObject {
  const collector = new Collector(book, dialect);
  for (const definition of kinds.list()) {
    for (const version of definition.versions) {
      if (!version.served || !isShown({ group: definition.group, version: version.name })) continue;
      const gvk = { group: definition.group, version: version.name, kind: definition.kind };
      const name = schemaName(definition, version);
      if (version.schema.ref !== undefined) collector.add(name, gvk);
      else collector.put(name, publishedSchema(version.schema, dialect === 'v2'), gvk);
      if (definition.verbs.includes('list')) {
        const listName = `${name}List`;
        const listGvk = { ...gvk, kind: definition.listKind };
        if (book.has(listName)) collector.add(listName, listGvk);
        else collector.put(listName, listSchema(name), listGvk);
      }
      for (const { name: subresource, body } of version.subresources ?? definition.subresources) {
        const bodyName = body === undefined || CONNECTED.has(subresource) ? undefined : bodySchemaName(book, body);
        if (body !== undefined && bodyName !== undefined) collector.add(bodyName, body);
      }
    }
  }
  const meta = (kind: string, group = '', version = 'v1'): void => collector.add(`${META}.${kind}`, { group, version, kind });
  for (const kind of ['Status', ...(dialect === 'v2' ? ['APIGroup', 'APIGroupList', 'APIVersions'] : []), 'APIResourceList']) meta(kind);
  // Bodies that every group version takes or gives.
  for (const kind of ['DeleteOptions', 'WatchEvent']) {
    for (const definition of kinds.list())
      for (const { name, served } of definition.versions) if (served) meta(kind, definition.group, name);
  }
  if (dialect === 'v2') collector.put(...versionInfoSchema);
  collector.put(`${META}.Patch`, {
    type: 'object',
    description: 'Patch is the body of a PATCH request; its content type says how it is read.',
  });
  return collector.sorted();
}

class Collector {
  readonly #book: SchemaBook;
  readonly #dialect: Dialect;
  readonly #schemas = new Map<string, JsonObject>();

  constructor(book: SchemaBook, dialect: Dialect) {
    this.#book = book;
    this.#dialect = dialect;
  }

  /** The book's definition and all that it refers to. */
  add(name: string, gvk?: GroupVersionKind): void {
    if (!this.#schemas.has(name)) {
      const leaf = leafSchema(name, this.#dialect);
      if (leaf !== undefined) {
        this.#schemas.set(name, leaf);
      } else {
        const node = this.#book.get(name);
        if (node === undefined) return;
        this.#schemas.set(name, {}); // Marks it as under way: definitions refer to each other in circles.
        this.#schemas.set(name, this.#render(described(name, node), this.#dialect === 'v3'));
      }
    }
    if (gvk !== undefined) this.#mark(name, gvk);
  }

  /** A definition that is in no book. */
  put(name: string, node: SchemaNode, gvk?: GroupVersionKind): void {
    this.#schemas.set(name, this.#render(node, true));
    if (gvk !== undefined) this.#mark(name, gvk);
  }

  sorted(): JsonObject {
    return Object.fromEntries([...this.#schemas].sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  #mark(name: string, { group, version, kind }: GroupVersionKind): void {
    const schema = this.#schemas.get(name);
    if (schema === undefined) return;
    const marks = (schema['x-kubernetes-group-version-kind'] ?? []) as JsonObject[];
    if (!marks.some((mark) => mark.group === group && mark.version === version && mark.kind === kind)) marks.push({ group, kind, version });
    schema['x-kubernetes-group-version-kind'] = marks;
  }

  /** @param withDefaults Built-in kinds show theirs in the newer dialect only: readers of the older one take them for what the server fills in. */
  #render(node: SchemaNode, withDefaults: boolean): JsonObject {
    const { ref } = node;
    if (ref !== undefined) {
      this.add(ref);
      const target = { $ref: `${REF_PREFIX[this.#dialect]}${ref}` };
      // How a field is merged is its own, whatever the type says.
      const marks = Object.entries(node).filter(([key, value]) => key.startsWith('x-kubernetes-') && value !== undefined);
      const extensions = Object.fromEntries(marks) as JsonObject;
      if (this.#dialect === 'v2')
        return { ...(node.description === undefined ? {} : { description: node.description }), ...target, ...extensions };
      if (node.description === undefined && node.default === undefined && marks.length === 0) return target;
      return {
        allOf: [target],
        ...extensions,
        ...(node.description === undefined ? {} : { description: node.description }),
        ...(node.default === undefined ? {} : { default: node.default }),
      };
    }
    const rendered: JsonObject = {};
    for (const [key, value] of Object.entries(node)) {
      if (value === undefined || (key === 'default' && !withDefaults)) continue;
      if (this.#dialect === 'v2' && (V3_ONLY.has(key) || (node.nullable === true && NOT_OF_NULLABLE.has(key)))) continue;
      switch (key) {
        case 'properties':
          rendered[key] = Object.fromEntries(
            Object.entries(value as Record<string, SchemaNode>).map(([name, child]) => [name, this.#render(child, withDefaults)]),
          );
          break;
        case 'items':
        case 'not':
          rendered[key] = this.#render(value as SchemaNode, withDefaults);
          break;
        case 'additionalProperties':
          rendered[key] = typeof value === 'object' ? this.#render(value as SchemaNode, withDefaults) : (value as boolean);
          break;
        case 'allOf':
        case 'anyOf':
        case 'oneOf':
          rendered[key] = (value as SchemaNode[]).map((child) => this.#render(child, withDefaults));
          break;
        default:
          rendered[key] = value as JsonObject[string];
      }
    }
    return rendered;
  }
}

/** `node` with our texts where it has none of its own. */
function described(name: string, node: SchemaNode): SchemaNode {
  const description = node.description ?? describeType(name);
  const properties = Object.entries(node.properties ?? {}).map(([field, child]): [string, SchemaNode] => {
    const text = child.description ?? describeField(name, field);
    return [field, text === undefined ? child : { ...child, description: text }];
  });
  return {
    ...(description === undefined ? {} : { description }),
    ...node,
    ...(node.properties === undefined ? {} : { properties: Object.fromEntries(properties) }),
  };
}

/** What the older dialect has no words for. */
const V3_ONLY: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'nullable']);
/** It cannot say that null is fine, so of such a value it says as little as it can. */
const NOT_OF_NULLABLE: ReadonlySet<string> = new Set(['type', 'items', 'properties', 'additionalProperties', 'required']);

/** Values of more than one type, of which the documents say nothing. */
const ANY_JSON: ReadonlySet<string> = new Set(
  ['JSON', 'JSONSchemaPropsOrArray', 'JSONSchemaPropsOrBool', 'JSONSchemaPropsOrStringArray'].map(
    (name) => `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.${name}`,
  ),
);

function leafSchema(name: string, dialect: Dialect): JsonObject | undefined {
  if (name === INT_OR_STRING) {
    return dialect === 'v2'
      ? { type: 'string', format: 'int-or-string' }
      : { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
  }
  if (name === QUANTITY) return dialect === 'v2' ? { type: 'string' } : { oneOf: [{ type: 'string' }, { type: 'number' }] };
  if (ANY_JSON.has(name)) return {};
  if (name === `${META}.FieldsV1` || name === 'io.k8s.apimachinery.pkg.runtime.RawExtension') return { type: 'object' };
  return undefined;
}

function listSchema(itemName: string): SchemaNode {
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { ref: `${META}.ListMeta` },
      items: { type: 'array', items: { ref: itemName } },
    },
  };
}

function customName(group: string, version: string, kind: string): string {
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}
