/**
 * Writes `src/generated/*.ts`: one interface for each definition of the schema facts, deeply readonly, a file for each group
 * and version. Run by hand after the facts changed: `tsx packages/api/tools/generate-types.ts`.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

type Facts = Record<string, Record<string, string>>;

const OUT = new URL('../src/generated/', import.meta.url);

function load(): Facts {
  const read = (name: string) => JSON.parse(readFileSync(new URL(`../schema/${name}`, import.meta.url), 'utf8'));
  const facts: Facts = read('upstream-1.32.json');
  const since: Record<string, Record<string, string | null> | null> = read('since-1.32.json');
  for (const [name, amendment] of Object.entries(since)) {
    if (amendment === null) delete facts[name];
    else {
      const definition = { ...facts[name] };
      for (const [field, text] of Object.entries(amendment)) {
        if (text === null) delete definition[field];
        else definition[field] = text;
      }
      facts[name] = definition;
    }
  }
  return facts;
}

/** Types of `object.ts`, which are written by hand. */
const HAND_MADE: Readonly<Record<string, string>> = {
  'meta.v1.ObjectMeta': 'ObjectMeta',
  'meta.v1.OwnerReference': 'OwnerReference',
  'meta.v1.ManagedFieldsEntry': 'ManagedFieldsEntry',
  'meta.v1.ListMeta': 'ListMeta',
};

const LEAVES: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'boolean',
  int32: 'number',
  // Beyond 2^53 - 1 either way, what came as text is a bigint.
  int64: 'number | bigint',
  double: 'number',
  bytes: 'string',
  time: 'string',
  microtime: 'string',
  duration: 'string',
  quantity: 'string',
  intstr: 'number | string',
  fields: 'Readonly<Record<string, unknown>>',
  raw: 'Readonly<Record<string, unknown>>',
  any: 'unknown',
};

function fileOf(pkg: string): string {
  return `${pkg.replace('.', '-')}.ts`;
}

class Writer {
  readonly #imports = new Map<string, Set<string>>();
  readonly #lines: string[] = [];
  readonly #pkg: string;

  constructor(pkg: string) {
    this.#pkg = pkg;
  }

  add(name: string, definition: Record<string, string>): void {
    const short = name.slice(this.#pkg.length + 1);
    if (HAND_MADE[name] !== undefined) return;
    if (definition.$ === 'any') {
      this.#lines.push(`/** ${name}. */`, `export type ${short} = unknown;`, '');
      return;
    }
    const isObject = definition.metadata?.startsWith('@meta.v1.ObjectMeta') === true && definition.kind !== undefined;
    this.#lines.push(
      `/** ${name}. */`,
      `export interface ${short}${isObject ? ` extends ${this.#import('../object.ts', 'KubeObject')}` : ''} {`,
    );
    for (const [field, text] of Object.entries(definition)) {
      if (field === '$' || (isObject && (field === 'kind' || field === 'apiVersion' || field === 'metadata'))) continue;
      const [type = '', ...marks] = text.split(' ');
      const values = marks
        .find((mark) => mark.startsWith('enum='))
        ?.slice(5)
        .split(',')
        .filter((value) => value !== '');
      // Where the server always fills a struct in, readers need not ask.
      const present = marks.includes('!') || ((field === 'spec' || field === 'status') && marks.includes('zero'));
      const key = /^[A-Za-z_]\w*$/.test(field) ? field : JSON.stringify(field).replaceAll('"', "'");
      this.#lines.push(`  readonly ${key}${present ? '' : '?'}: ${this.#type(type, values)};`);
    }
    this.#lines.push('}', '');
  }

  text(): string {
    const imports = [...this.#imports]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([from, names]) => `import type { ${[...names].sort().join(', ')} } from '${from}';`);
    return [`// Written by tools/generate-types.ts from schema/*.json; do not edit.`, ...imports, '', ...this.#lines].join('\n');
  }

  #type(type: string, values: readonly string[] | undefined): string {
    if (type.startsWith('[]')) {
      const item = this.#type(type.slice(2), values);
      return `readonly ${item.includes('|') ? `(${item})` : item}[]`;
    }
    if (type.startsWith('{}')) return `Readonly<Record<string, ${this.#type(type.slice(2), values)}>>`;
    if (type.startsWith('@')) return this.#reference(type.slice(1));
    if (values !== undefined) return values.map((value) => `'${value}'`).join(' | ');
    const leaf = LEAVES[type];
    if (leaf === undefined) throw new Error(`unknown type ${type}`);
    return leaf;
  }

  #reference(name: string): string {
    const made = HAND_MADE[name];
    // Outside a kind the server fills nothing in: a template's metadata has what its writer gave it.
    if (made === 'ObjectMeta') return `Partial<${this.#import('../object.ts', made)}>`;
    if (made !== undefined) return this.#import('../object.ts', made);
    const [group = '', version = '', short = ''] = name.split('.');
    const pkg = `${group}.${version}`;
    return pkg === this.#pkg ? short : this.#import(`./${fileOf(pkg)}`, short);
  }

  #import(from: string, name: string): string {
    this.#imports.set(from, (this.#imports.get(from) ?? new Set()).add(name));
    return name;
  }
}

function main(): void {
  const writers = new Map<string, Writer>();
  for (const [name, definition] of Object.entries(load()).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const pkg = name.split('.').slice(0, 2).join('.');
    const writer = writers.get(pkg) ?? new Writer(pkg);
    writers.set(pkg, writer);
    writer.add(name, definition);
  }
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  for (const [pkg, writer] of writers) writeFileSync(new URL(fileOf(pkg), OUT), writer.text());
}

main();
