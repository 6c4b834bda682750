import type { Json, JsonObject } from '@dure/api';

/**
 * A set of fields of an object, as `managedFields` keeps them: a tree whose steps are `f:NAME` (a field), `k:{...}` (a list item by its keys)
 * and `v:...` (an item of a set). @see https://github.com/kubernetes-sigs/structured-merge-diff
 */
export interface FieldSet {
  /** The place itself belongs to the set, not only what lies under it. */
  readonly self: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

const NONE: ReadonlyMap<string, FieldSet> = new Map();
export const NO_FIELDS: FieldSet = { self: false, children: NONE };
/** One place with nothing under it. */
export const LEAF: FieldSet = { self: true, children: NONE };
/** Sets come from clients too. */
const DEPTH_MAX = 64;

export function isEmpty(set: FieldSet): boolean {
  return !set.self && set.children.size === 0;
}

/** A set of one child; nothing where the child is empty. */
export function under(children: Iterable<readonly [string, FieldSet]>, self = false): FieldSet {
  const kept = new Map<string, FieldSet>();
  for (const [step, child] of children) if (!isEmpty(child)) kept.set(step, child);
  return kept.size === 0 ? (self ? LEAF : NO_FIELDS) : { self, children: kept };
}

export function union(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmpty(left)) return right;
  if (isEmpty(right)) return left;
  const children = new Map(left.children);
  for (const [step, child] of right.children) {
    const known = children.get(step);
    children.set(step, known === undefined ? child : union(known, child));
  }
  return { self: left.self || right.self, children };
}

/** What is in `left` and not in `right`. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmpty(right)) return left;
  const children: (readonly [string, FieldSet])[] = [];
  for (const [step, child] of left.children) {
    const other = right.children.get(step);
    children.push([step, other === undefined ? child : difference(child, other)]);
  }
  return under(children, left.self && !right.self);
}

/** `left` without the places of `right` and everything under them. */
export function without(left: FieldSet, right: FieldSet): FieldSet {
  if (right.self) return NO_FIELDS;
  const children: (readonly [string, FieldSet])[] = [];
  for (const [step, child] of left.children) {
    const other = right.children.get(step);
    children.push([step, other === undefined ? child : without(child, other)]);
  }
  return under(children, left.self);
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  const children: (readonly [string, FieldSet])[] = [];
  for (const [step, child] of left.children) {
    const other = right.children.get(step);
    if (other !== undefined) children.push([step, intersection(child, other)]);
  }
  return under(children, left.self && right.self);
}

export function equalSets(left: FieldSet, right: FieldSet): boolean {
  if (left.self !== right.self || left.children.size !== right.children.size) return false;
  for (const [step, child] of left.children) {
    const other = right.children.get(step);
    if (other === undefined || !equalSets(child, other)) return false;
  }
  return true;
}

/** Every place of the set, written as upstream writes it in conflicts: `.spec.containers[name="c"].image`. */
export function* placesOf(set: FieldSet, path = ''): Generator<string> {
  if (set.self && path !== '') yield path;
  for (const [step, child] of set.children) yield* placesOf(child, `${path}${shown(step)}`);
}

/** The `fieldsV1` of an entry. */
export function toFieldsV1(set: FieldSet): JsonObject {
  const fields: JsonObject = {};
  if (set.self && set.children.size > 0) fields['.'] = {};
  for (const step of [...set.children.keys()].sort()) fields[step] = toFieldsV1(set.children.get(step) ?? NO_FIELDS);
  return fields;
}

/** Reads `fieldsV1`; what is malformed is left out. */
export function fromFieldsV1(fields: Json | undefined, depth = 0): FieldSet {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || depth > DEPTH_MAX) return NO_FIELDS;
  const steps = Object.entries(fields);
  if (steps.length === 0) return depth === 0 ? NO_FIELDS : LEAF;
  const children = new Map<string, FieldSet>();
  for (const [step, child] of steps) if (step !== '.') children.set(step, fromFieldsV1(child, depth + 1));
  return { self: Object.hasOwn(fields, '.'), children };
}

function shown(step: string): string {
  const rest = step.slice(2);
  if (step.startsWith('f:')) return `.${rest}`;
  if (step.startsWith('v:')) return `[=${rest}]`;
  if (step.startsWith('i:')) return `[${rest}]`;
  const keys = JSON.parse(rest) as Record<string, unknown>;
  return `[${Object.entries(keys)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`;
}
