/** What most kinds have in common between a request's body and the stored object. */
import type { JsonObject, Strategy } from '../definition.ts';
import { cloneJson, ensureObject, numberAt, own, semanticEqual } from '../json-value.ts';

export interface LifecycleOptions {
  /** The status has a door of its own. */
  readonly status?: boolean;
  /** `metadata.generation` counts changes of the desired state. */
  readonly generation?: boolean;
  /** Top-level fields that are the desired state; `spec` unless said otherwise. */
  readonly desired?: readonly string[];
}

/** The usual preparations: clients set the spec here and the status there, and the generation follows the spec. */
export function lifecycle({ status = false, generation = false, desired = ['spec'] }: LifecycleOptions): Strategy {
  return {
    prepareForCreate(object) {
      if (status) object.status = {};
      if (generation) ensureObject(object, 'metadata').generation = 1;
    },
    prepareForUpdate(object, old) {
      if (status) copyField(object, old, 'status');
      followGeneration(object, old, generation && desired.some((field) => !semanticEqual(own(object, field), own(old, field))));
    },
    prepareForStatusUpdate(object, old) {
      for (const field of desired) copyField(object, old, field);
      followGeneration(object, old, false);
    },
  };
}

/** Runs several strategies as one: preparations and checks in order, other answers from the last that has one. */
export function combine(...parts: readonly Strategy[]): Strategy {
  const each = <K extends keyof Strategy>(name: K): NonNullable<Strategy[K]>[] =>
    parts.flatMap((part) => (part[name] === undefined ? [] : [part[name] as NonNullable<Strategy[K]>]));
  const last = Object.assign({}, ...parts) as Strategy;
  const run = (name: 'defaults' | 'prepareForCreate') => {
    const steps = each(name);
    return steps.length === 0 ? {} : { [name]: (object: JsonObject) => steps.forEach((step) => void step(object)) };
  };
  const runUpdate = (name: 'prepareForUpdate' | 'prepareForStatusUpdate') => {
    const steps = each(name);
    return steps.length === 0 ? {} : { [name]: (object: JsonObject, old: JsonObject) => steps.forEach((step) => void step(object, old)) };
  };
  const check = each('validate');
  const checkUpdate = each('validateUpdate');
  const checkStatus = each('validateStatusUpdate');
  return {
    ...last,
    ...run('defaults'),
    ...run('prepareForCreate'),
    ...runUpdate('prepareForUpdate'),
    ...runUpdate('prepareForStatusUpdate'),
    ...(check.length > 0 ? { validate: (object, old) => check.flatMap((step) => step(object, old)) } : {}),
    ...(checkUpdate.length > 0 ? { validateUpdate: (object, old) => checkUpdate.flatMap((step) => step(object, old)) } : {}),
    ...(checkStatus.length > 0 ? { validateStatusUpdate: (object, old) => checkStatus.flatMap((step) => step(object, old)) } : {}),
  };
}

/** Makes `field` of `object` what it is in `old`. */
export function copyField(object: JsonObject, old: JsonObject, field: string): void {
  const value = own(old, field);
  if (value === undefined) delete object[field];
  else object[field] = cloneJson(value);
}

function followGeneration(object: JsonObject, old: JsonObject, changed: boolean): void {
  const before = numberAt(old, 'metadata', 'generation');
  const metadata = ensureObject(object, 'metadata');
  if (changed) metadata.generation = (before ?? 0) + 1;
  else if (before === undefined) delete metadata.generation;
  else metadata.generation = before;
}
