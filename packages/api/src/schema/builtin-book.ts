/**
 * The schema of every built-in kind. Definitions are read from the facts when first asked for, and share their nodes:
 * a control plane that never meets a kind does not pay for it.
 */
import since from '../../schema/since-1.32.json' with { type: 'json' };
import upstream from '../../schema/upstream-1.32.json' with { type: 'json' };
import type { SchemaBook, SchemaNode } from '../definition.ts';
import { type DefinitionFacts, LEAF_DEFINITIONS, parseDefinition, publishedName, shortName } from './facts.ts';

/** Fields that went since the first file was taken are `null` in the second. */
type Amendments = Readonly<Record<string, Readonly<Record<string, string | null>> | null>>;

const OBJECT_META = '@meta.v1.ObjectMeta ';

class LazyBook implements SchemaBook {
  readonly #upstream: Readonly<Record<string, DefinitionFacts>>;
  readonly #amendments: Amendments;
  readonly #nodes = new Map<string, SchemaNode>(Object.entries(LEAF_DEFINITIONS));
  readonly #shared = new Map<string, SchemaNode>();

  constructor(facts: Readonly<Record<string, DefinitionFacts>>, amendments: Amendments) {
    this.#upstream = facts;
    this.#amendments = amendments;
  }

  get(name: string): SchemaNode | undefined {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const short = shortName(name);
    const facts = short === undefined ? undefined : this.#exists(short) ? this.#factsOf(short) : this.#listFactsOf(short);
    if (facts === undefined) return undefined;
    const node = Object.freeze(parseDefinition(facts, this.#shared));
    this.#nodes.set(name, node);
    return node;
  }

  has(name: string): boolean {
    const short = shortName(name);
    return this.#nodes.has(name) || (short !== undefined && (this.#exists(short) || this.#listFactsOf(short) !== undefined));
  }

  get size(): number {
    return [...this.keys()].length;
  }

  *keys(): MapIterator<string> {
    yield* Object.keys(LEAF_DEFINITIONS);
    const names = new Set([...Object.keys(this.#upstream), ...Object.keys(this.#amendments)]);
    for (const short of [...names].sort()) {
      if (!this.#exists(short)) continue;
      yield publishedName(short);
      if (this.#listFactsOf(`${short}List`) !== undefined) yield publishedName(`${short}List`);
    }
    return undefined;
  }

  *values(): MapIterator<SchemaNode> {
    for (const [, node] of this.entries()) yield node;
    return undefined;
  }

  *entries(): MapIterator<[string, SchemaNode]> {
    for (const name of this.keys()) {
      const node = this.get(name);
      if (node !== undefined) yield [name, node];
    }
    return undefined;
  }

  [Symbol.iterator](): MapIterator<[string, SchemaNode]> {
    return this.entries();
  }

  forEach(visit: (node: SchemaNode, name: string, book: SchemaBook) => void): void {
    for (const [name, node] of this.entries()) visit(node, name, this);
  }

  #exists(short: string): boolean {
    const amendment = Object.hasOwn(this.#amendments, short) ? this.#amendments[short] : undefined;
    return amendment !== null && (amendment !== undefined || Object.hasOwn(this.#upstream, short));
  }

  /** Lists all look alike, so the facts leave them out: a kind with a name of its own has one. */
  #listFactsOf(short: string): DefinitionFacts | undefined {
    const item = short.endsWith('List') ? short.slice(0, -'List'.length) : '';
    if (item === '' || !this.#exists(item)) return undefined;
    const { kind, metadata } = this.#factsOf(item);
    if (kind === undefined || metadata?.startsWith(OBJECT_META) !== true) return undefined;
    return { apiVersion: 'string', items: `[]@${item} !`, kind: 'string', metadata: '@meta.v1.ListMeta zero' };
  }

  #factsOf(short: string): DefinitionFacts {
    const merged: Record<string, string> = { ...(Object.hasOwn(this.#upstream, short) ? this.#upstream[short] : {}) };
    for (const [field, text] of Object.entries(this.#amendments[short] ?? {})) {
      if (text === null) delete merged[field];
      else merged[field] = text;
    }
    return merged;
  }
}

/** A book over other facts of the same form; tests use it. */
export function schemaBook(facts: Readonly<Record<string, DefinitionFacts>>, amendments: Amendments = {}): SchemaBook {
  return new LazyBook(facts, amendments);
}

/** Every definition of the API's built-in kinds by its published name (`io.k8s.api.core.v1.Pod`). */
export const builtinSchemas: SchemaBook = schemaBook(upstream as Readonly<Record<string, DefinitionFacts>>, since);

/** The definition that `node` stands for: itself, or what it refers to. @throws {RangeError} The reference is unknown. */
export function resolve(node: SchemaNode, book: SchemaBook): SchemaNode {
  if (node.ref === undefined) return node;
  const target = book.get(node.ref);
  if (target === undefined) throw new RangeError(`schema: no definition ${node.ref}`);
  return target;
}
