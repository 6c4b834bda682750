/**
 * Sets of paths into an object, as `metadata.managedFields` holds them. A step is a field (`f:spec`), an entry of an associative
 * list by its keys (`k:{"name":"web"}`), or an entry of a set by its value (`v:"x"`).
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/ ; structured-merge-diff, `fieldpath`.
 */

import type { Json, JsonObject } from '../definition.ts';
import { fromJsonText, toJsonText } from '../json-text.ts';
import { isJsonObject } from '../json-value.ts';

/** One step in its serialized form. */
export type PathStep = string;

const SELF = '.';

/**
 * Immutable; what an operation leaves as it is, is shared and not copied, since most writes leave most fields alone. The empty set has neither members nor
 * children.
 */
export class FieldSet {
  /** Steps that are in the set themselves. */
  readonly members: ReadonlySet<PathStep>;
  /** What is in the set below a step; never empty sets. */
  readonly children: ReadonlyMap<PathStep, FieldSet>;

  constructor(members: ReadonlySet<PathStep> = new Set(), children: ReadonlyMap<PathStep, FieldSet> = new Map()) {
    this.members = members;
    this.children = hasEmpty(children) ? new Map([...children].filter(([, child]) => !child.isEmpty)) : children;
  }

  get isEmpty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  child(step: PathStep): FieldSet {
    return this.children.get(step) ?? EMPTY;
  }

  /** Whether the step, or anything below it, is in the set. */
  touches(step: PathStep): boolean {
    return this.members.has(step) || this.children.has(step);
  }

  /** Whether exactly this path is a member. */
  has([step, ...rest]: readonly PathStep[]): boolean {
    if (step === undefined) return false;
    return rest.length === 0 ? this.members.has(step) : this.child(step).has(rest);
  }

  union(other: FieldSet): FieldSet {
    if (other.isEmpty || other === this) return this;
    if (this.isEmpty) return other;
    const children = new Map(this.children);
    for (const [step, child] of other.children) children.set(step, this.child(step).union(child));
    return new FieldSet(new Set([...this.members, ...other.members]), children);
  }

  /** Only exact paths count: a member of `other` does not take what is below it. */
  difference(other: FieldSet): FieldSet {
    if (this.isEmpty || other.isEmpty) return this;
    if (other === this) return EMPTY;
    const children = new Map<PathStep, FieldSet>();
    for (const [step, child] of this.children) children.set(step, child.difference(other.child(step)));
    return new FieldSet(new Set([...this.members].filter((step) => !other.members.has(step))), children);
  }

  intersection(other: FieldSet): FieldSet {
    if (this.isEmpty || other === this) return this;
    if (other.isEmpty) return EMPTY;
    const children = new Map<PathStep, FieldSet>();
    for (const [step, child] of this.children) children.set(step, child.intersection(other.child(step)));
    return new FieldSet(new Set([...this.members].filter((step) => other.members.has(step))), children);
  }

  /** Without the path and everything below it. */
  without(path: readonly PathStep[]): FieldSet {
    const [step, ...rest] = path;
    if (step === undefined) return EMPTY;
    if (rest.length === 0 ? !this.touches(step) : !this.children.has(step)) return this;
    const below = rest.length === 0 ? EMPTY : this.child(step).without(rest);
    if (below === this.child(step) && rest.length > 0) return this;
    const children = new Map(this.children);
    if (below.isEmpty) children.delete(step);
    else children.set(step, below);
    if (rest.length > 0) return new FieldSet(this.members, children);
    const members = new Set(this.members);
    members.delete(step);
    return new FieldSet(members, children);
  }

  /** Only the path and everything below it. */
  only(path: readonly PathStep[]): FieldSet {
    const [step, ...rest] = path;
    if (step === undefined) return this;
    const members = rest.length === 0 && this.members.has(step) ? new Set([step]) : new Set<PathStep>();
    return new FieldSet(members, new Map([[step, this.child(step).only(rest)]]));
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty && other.difference(this).isEmpty;
  }

  /** Every path in the set, in order. */
  *paths(prefix: readonly PathStep[] = []): Generator<readonly PathStep[]> {
    for (const step of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      if (this.members.has(step)) yield [...prefix, step];
      yield* this.child(step).paths([...prefix, step]);
    }
  }

  /** The form of `fieldsV1`. */
  toJson(): JsonObject {
    const result: JsonObject = {};
    for (const step of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const child = this.children.get(step);
      if (child === undefined) result[step] = {};
      else result[step] = this.members.has(step) ? { [SELF]: {}, ...child.toJson() } : child.toJson();
    }
    return result;
  }
}

function hasEmpty(children: ReadonlyMap<PathStep, FieldSet>): boolean {
  for (const child of children.values()) if (child.isEmpty) return true;
  return false;
}

const EMPTY = new FieldSet();

export const emptyFieldSet: FieldSet = EMPTY;

/** Reads `fieldsV1`. What is no set counts as empty: it was written by whoever owns it. */
export function fieldSetFromJson(value: unknown): FieldSet {
  if (!isJsonObject(value)) return EMPTY;
  const members = new Set<PathStep>();
  const children = new Map<PathStep, FieldSet>();
  for (const [step, below] of Object.entries(value)) {
    if (step === SELF) continue;
    const child = fieldSetFromJson(below);
    if (child.isEmpty || (isJsonObject(below) && Object.hasOwn(below, SELF))) members.add(step);
    if (!child.isEmpty) children.set(step, child);
  }
  return new FieldSet(members, children);
}

/** A path as messages show it: `.spec.containers[name="web"].image`. */
export function renderPath(path: readonly PathStep[]): string {
  return path
    .map((step) => {
      const rest = step.slice(2);
      if (step.startsWith('f:')) return `.${rest}`;
      if (step.startsWith('v:')) return `[=${rest}]`;
      if (step.startsWith('i:')) return `[${rest}]`;
      const keys = fromJsonText(rest) as Record<string, Json>;
      return `[${Object.entries(keys)
        .map(([key, value]) => `${key}=${toJsonText(value)}`)
        .join(',')}]`;
    })
    .join('');
}
