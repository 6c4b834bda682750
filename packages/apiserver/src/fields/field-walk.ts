import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject, SchemaBook, SchemaNode } from '@dure/api';
import { type FieldSet, LEAF, NO_FIELDS, under } from './field-set.ts';
import { type FieldShape, isObject, itemStep, shapeOf, valueStep } from './field-shape.ts';

/** What an update did to an object's fields. */
export interface FieldChanges {
  /** New, or with another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Reads and changes objects field by field, as their schema says. All methods leave their arguments as they are. */
export class FieldWalk {
  readonly #book: SchemaBook;

  constructor(book: SchemaBook) {
    this.#book = book;
  }

  /** Every field that `value` sets. */
  fieldsOf(value: Json | undefined, node: SchemaNode | undefined): FieldSet {
    const shape = shapeOf(value, node, this.#book);
    if (value === undefined) return NO_FIELDS;
    switch (shape.kind) {
      case 'whole':
        return LEAF;
      case 'fields': {
        const fields = Object.entries(value as JsonObject).filter(([, child]) => child !== undefined);
        if (fields.length === 0) return LEAF;
        return under(fields.map(([name, child]) => [`f:${name}`, this.fieldsOf(child, shape.child(name))]));
      }
      case 'set':
        return under((value as Json[]).map((item) => [valueStep(item), LEAF]));
      case 'items': {
        const items = (value as JsonObject[]).map((item) => [this.#step(item, shape), item] as const);
        return under(items.map(([step, item]) => [step, { ...this.fieldsOf(item, shape.item), self: true }]));
      }
    }
  }

  diff(old: Json | undefined, next: Json | undefined, node: SchemaNode | undefined): FieldChanges {
    if (old === undefined) return { changed: this.fieldsOf(next, node), removed: NO_FIELDS };
    if (next === undefined) return { changed: NO_FIELDS, removed: { ...this.fieldsOf(old, node), self: true } };
    const [before, after] = [shapeOf(old, node, this.#book), shapeOf(next, node, this.#book)];
    if (before.kind !== after.kind || before.kind === 'whole')
      return { changed: isDeepStrictEqual(old, next) ? NO_FIELDS : LEAF, removed: NO_FIELDS };
    const [left, right] = [this.#parts(old, before), this.#parts(next, after)];
    const changed: (readonly [string, FieldSet])[] = [];
    const removed: (readonly [string, FieldSet])[] = [];
    for (const step of new Set([...left.keys(), ...right.keys()])) {
      const [was, is] = [left.get(step), right.get(step)];
      const part = this.diff(was?.value, is?.value, (is ?? was)?.node);
      const isNewItem = was === undefined && after.kind === 'items';
      changed.push([step, isNewItem ? { ...part.changed, self: true } : part.changed]);
      removed.push([step, part.removed]);
    }
    return { changed: under(changed), removed: under(removed) };
  }

  /** `live` with everything that `config` sets; lists with keys keep live's order, then config's new items. */
  merge(live: Json | undefined, config: Json | undefined, node: SchemaNode | undefined): Json | undefined {
    if (config === undefined) return live;
    const shape = shapeOf(config, node, this.#book);
    const liveShape = shapeOf(live, node, this.#book);
    if (live === undefined || shape.kind === 'whole' || liveShape.kind !== shape.kind) return config;
    const parts = this.#parts(live, liveShape);
    for (const [step, { value, node: child }] of this.#parts(config, shape)) {
      const known = parts.get(step);
      parts.set(step, { name: known?.name ?? step.slice(2), value: this.merge(known?.value, value, child) ?? value, node: child });
    }
    return this.#assemble(parts, shape);
  }

  /** `value` without the fields of `gone`. Items go as a whole where they are named themselves. */
  remove(value: Json, gone: FieldSet, node: SchemaNode | undefined): Json | undefined {
    if (gone.self && gone.children.size === 0) return undefined;
    const shape = shapeOf(value, node, this.#book);
    if (shape.kind === 'whole') return value;
    const parts = this.#parts(value, shape);
    for (const [step, child] of gone.children) {
      const part = parts.get(step);
      if (part === undefined) continue;
      const left = child.self && shape.kind === 'items' ? undefined : this.remove(part.value, child, part.node);
      if (left === undefined) parts.delete(step);
      else parts.set(step, { ...part, value: left });
    }
    // A container that was only there for what went, goes too.
    if (parts.size === 0 && gone.children.size > 0) return undefined;
    return this.#assemble(parts, shape);
  }

  #parts(
    value: Json,
    shape: FieldShape,
  ): Map<string, { readonly name: string; readonly value: Json; readonly node: SchemaNode | undefined }> {
    const parts = new Map<string, { readonly name: string; readonly value: Json; readonly node: SchemaNode | undefined }>();
    if (shape.kind === 'fields') {
      for (const [name, child] of Object.entries(value as JsonObject))
        if (child !== undefined) parts.set(`f:${name}`, { name, value: child, node: shape.child(name) });
    } else if (shape.kind === 'set') {
      for (const item of value as Json[]) parts.set(valueStep(item), { name: '', value: item, node: undefined });
    } else if (shape.kind === 'items') {
      for (const item of (value as Json[]).filter(isObject))
        parts.set(this.#step(item, shape), { name: '', value: item, node: shape.item });
    }
    return parts;
  }

  #assemble(parts: ReadonlyMap<string, { readonly name: string; readonly value: Json }>, shape: FieldShape): Json {
    if (shape.kind !== 'fields') return [...parts.values()].map(({ value }) => value);
    return Object.fromEntries([...parts.values()].map(({ name, value }) => [name, value]));
  }

  #step(item: JsonObject, { keys, item: schema }: Extract<FieldShape, { kind: 'items' }>): string {
    return itemStep(item, keys, schema, this.#book);
  }
}
