/** Types of whole kinds, for checking expressions against what objects can look like. */
import type { SchemaBook, SchemaNode } from '../definition.ts';
import type { ServedKind } from '../kind-registry.ts';
import { type CelType, DYN, listOf, mapOf, STRING } from './cel-type.ts';
import { escapedName, typeOfNode } from './schema-values.ts';

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** The type of objects of `kind`. Schemas may refer to themselves, so what is below is made when it is asked for. */
export function typeOfKind({ version }: ServedKind, book: SchemaBook): CelType {
  if (version.structural !== true) return new KindTypes(book).of(version.schema);
  const type = typeOfNode(version.schema, true);
  if (type.kind !== 'object') return type;
  const metadata = new KindTypes(book).of({ ref: OBJECT_META });
  return { ...type, fields: new Map([...type.fields, ['metadata', metadata]]) };
}

class KindTypes {
  readonly #book: SchemaBook;
  readonly #named = new Map<string, CelType>();

  constructor(book: SchemaBook) {
    this.#book = book;
  }

  of(node: SchemaNode, name = 'object'): CelType {
    if (node.ref !== undefined) return this.#reference(node.ref);
    if (node.type === 'array') return listOf(node.items === undefined ? DYN : this.of(node.items));
    if (typeof node.additionalProperties === 'object') return mapOf(STRING, this.of(node.additionalProperties));
    if (node.properties !== undefined) return new LazyObject(name, () => this.#fields(node));
    // Without fields of its own an object may hold anything, whatever its schema leaves unsaid.
    return node.type === 'object' ? DYN : typeOfNode(node);
  }

  #reference(ref: string): CelType {
    const known = this.#named.get(ref);
    if (known !== undefined) return known;
    const node = this.#book.get(ref);
    const type = node === undefined ? DYN : this.of(node, ref);
    this.#named.set(ref, type);
    return type;
  }

  #fields(node: SchemaNode): ReadonlyMap<string, CelType> {
    const fields = new Map<string, CelType>();
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      const escaped = escapedName(name);
      if (escaped !== undefined) fields.set(escaped, this.of(child));
    }
    return fields;
  }
}

class LazyObject {
  readonly kind = 'object' as const;
  readonly name: string;
  readonly #make: () => ReadonlyMap<string, CelType>;
  #fields: ReadonlyMap<string, CelType> | undefined;

  constructor(name: string, make: () => ReadonlyMap<string, CelType>) {
    this.name = name;
    this.#make = make;
  }

  get fields(): ReadonlyMap<string, CelType> {
    this.#fields ??= this.#make();
    return this.#fields;
  }
}
