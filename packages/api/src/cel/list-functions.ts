/** Lists and sets beyond CEL's own. @see https://kubernetes.io/docs/reference/using-api/cel/ */
import type { Budget } from './budget.ts';
import { CelEvaluationError } from './cel-error.ts';
import { BOOL, type CelType, DYN, EMPTY, INT, isAssignable, listOf, optionalOf } from './cel-type.ts';
import { CelMap, type CelValue, compareValues, Duration, equalValues, isList, Optional, sizeOfValue, Uint } from './cel-value.ts';
import { define, method, type Overload } from './overload.ts';
import { arithmetic } from './standard-functions.ts';

type List = readonly CelValue[];

const ANY_LIST = listOf(DYN);
const ORDERED: ReadonlySet<CelType['kind']> = new Set(['int', 'uint', 'double', 'bool', 'string', 'bytes', 'timestamp', 'duration', 'dyn']);
const SUMMED: ReadonlySet<CelType['kind']> = new Set(['int', 'uint', 'double', 'duration', 'dyn']);
/** Where a list is flattened deeper than it can be nested. */
const FLATTEN_DEPTH_MAX = 20n;

/** A method of lists whose items are of some kinds. */
function listMethod(
  name: string,
  kinds: ReadonlySet<CelType['kind']> | undefined,
  result: (item: CelType) => CelType,
  run: (list: List, budget: Budget) => CelValue,
): Overload {
  return {
    name,
    method: true,
    resultOf: ([list, ...rest]) => {
      if (list === undefined || rest.length > 0) return undefined;
      if (list.kind === 'dyn') return result(DYN);
      return list.kind === 'list' && (kinds === undefined || kinds.has(list.of.kind)) ? result(list.of) : undefined;
    },
    run: ([list], budget) => {
      budget.work(sizeOfValue(list) * 0.1 + (list as List).length);
      return run(list as List, budget);
    },
  };
}

function extreme(list: List, sign: number): CelValue {
  const [first, ...rest] = list;
  if (first === undefined) throw new CelEvaluationError(`${sign < 0 ? 'min' : 'max'} called on empty list`);
  return rest.reduce<CelValue>((best, item) => (compareValues(item, best) * sign > 0 ? item : best), first);
}

function summed(list: List): CelValue {
  const [first, ...rest] = list;
  if (first === undefined) return 0n;
  if (typeof first !== 'bigint' && typeof first !== 'number' && !(first instanceof Uint) && !(first instanceof Duration)) {
    throw new CelEvaluationError('no such overload');
  }
  return rest.reduce<CelValue>((sum, item) => arithmetic('+', sum, item), first);
}

/** Sorting must not fall over lists of several types within the engine's own sort. */
function sorted(list: List): List {
  return list.toSorted(compareValues);
}

function positions(name: string, at: (list: List, wanted: CelValue) => number): Overload {
  return {
    name,
    method: true,
    resultOf: ([list, item, ...rest]) => {
      if (list === undefined || item === undefined || rest.length > 0) return undefined;
      if (list.kind === 'dyn') return INT;
      return list.kind === 'list' && isAssignable(item, list.of) ? INT : undefined;
    },
    run: ([list, item], budget) => {
      budget.work(sizeOfValue(list));
      return BigInt(at(list as List, item as CelValue));
    },
  };
}

function flattened(list: List, depth: bigint, budget: Budget): CelValue[] {
  if (depth < 0n) throw new CelEvaluationError('level must be non-negative');
  return list.flatMap((item) => {
    budget.work(1);
    return isList(item) && depth > 0n ? flattened(item, depth - 1n, budget) : [item];
  });
}

function distinct(list: List, budget: Budget): List {
  const seen = new Set<unknown>();
  const odd: CelValue[] = [];
  return list.filter((item) => {
    if (typeof item === 'string' || typeof item === 'boolean' || typeof item === 'bigint') {
      if (seen.has(item)) return false;
      seen.add(item);
      return true;
    }
    budget.work(odd.length * sizeOfValue(item));
    if (odd.some((other) => equalValues(other, item))) return false;
    odd.push(item);
    return true;
  });
}

function contains(list: List, wanted: List, budget: Budget): boolean {
  budget.work(sizeOfValue(list) * Math.max(wanted.length, 1));
  return wanted.every((item) => list.some((other) => equalValues(other, item)));
}

const sets: readonly Overload[] = [
  define<[List, List]>('sets.contains', [ANY_LIST, ANY_LIST], BOOL, ([list, part], budget) => contains(list, part, budget)),
  define<[List, List]>('sets.equivalent', [ANY_LIST, ANY_LIST], BOOL, ([a, b], budget) => contains(a, b, budget) && contains(b, a, budget)),
  define<[List, List]>('sets.intersects', [ANY_LIST, ANY_LIST], BOOL, ([a, b], budget) => {
    budget.work(sizeOfValue(a) * Math.max(b.length, 1));
    return a.some((item) => b.some((other) => equalValues(other, item)));
  }),
];

function isZero(value: CelValue): boolean {
  if (value === null || value === false || value === 0n || value === 0 || value === '') return true;
  if (isList(value) || value instanceof Uint8Array) return value.length === 0;
  if (value instanceof CelMap) return value.entries.size === 0;
  if (value instanceof Uint) return value.value === 0n;
  return value instanceof Duration && value.nanos === 0n;
}

/** What optional values offer without macros. */
const optionals: readonly Overload[] = [
  define<[]>('optional.none', [], optionalOf(EMPTY), () => new Optional(undefined)),
  {
    name: 'optional.of',
    method: false,
    resultOf: (types) => (types.length === 1 ? optionalOf(types[0] as CelType) : undefined),
    run: ([value]) => new Optional(value),
  },
  {
    name: 'optional.ofNonZeroValue',
    method: false,
    resultOf: (types) => (types.length === 1 ? optionalOf(types[0] as CelType) : undefined),
    run: ([value]) => new Optional(value === undefined || isZero(value) ? undefined : value),
  },
  method<[Optional]>('hasValue', [optionalOf(DYN)], BOOL, ([{ value }]) => value !== undefined),
  {
    name: 'value',
    method: true,
    resultOf: ([type, ...rest]) =>
      rest.length > 0 ? undefined : type?.kind === 'optional' ? type.of : type?.kind === 'dyn' ? DYN : undefined,
    run: ([optional]) => {
      const value = optional instanceof Optional ? optional.value : undefined;
      if (value === undefined) throw new CelEvaluationError('optional.none() dereference');
      return value;
    },
  },
];

/** The item at an end of a list, where there is one. */
function end(name: string, at: 0 | -1): Overload {
  return {
    name,
    method: true,
    resultOf: ([list, ...rest]) => {
      if (list === undefined || rest.length > 0) return undefined;
      return list.kind === 'list' ? optionalOf(list.of) : list.kind === 'dyn' ? optionalOf(DYN) : undefined;
    },
    run: ([list]) => new Optional((list as List).at(at)),
  };
}

export const listFunctions: readonly Overload[] = [
  end('first', 0),
  end('last', -1),
  listMethod(
    'isSorted',
    ORDERED,
    () => BOOL,
    (list) => list.every((item, index) => index === 0 || compareValues(list[index - 1] as CelValue, item) <= 0),
  ),
  listMethod('sum', SUMMED, (item) => item, summed),
  listMethod(
    'min',
    ORDERED,
    (item) => item,
    (list) => extreme(list, -1),
  ),
  listMethod(
    'max',
    ORDERED,
    (item) => item,
    (list) => extreme(list, 1),
  ),
  listMethod('sort', ORDERED, (item) => listOf(item), sorted),
  listMethod('distinct', undefined, (item) => listOf(item), distinct),
  listMethod(
    'reverse',
    undefined,
    (item) => listOf(item),
    (list) => list.toReversed(),
  ),
  listMethod(
    'flatten',
    undefined,
    (item) => (item.kind === 'list' ? item : listOf(item)),
    (list, budget) => flattened(list, 1n, budget),
  ),
  method<[List, bigint]>('flatten', [ANY_LIST, INT], ANY_LIST, ([list, depth], budget) =>
    flattened(list, depth > FLATTEN_DEPTH_MAX ? FLATTEN_DEPTH_MAX : depth, budget),
  ),
  {
    name: 'slice',
    method: true,
    resultOf: ([list, from, to, ...rest]) =>
      list === undefined ||
      from === undefined ||
      to === undefined ||
      rest.length > 0 ||
      !isAssignable(list, ANY_LIST) ||
      !isAssignable(from, INT) ||
      !isAssignable(to, INT)
        ? undefined
        : list.kind === 'list'
          ? list
          : ANY_LIST,
    run: ([list, from, to], budget) => {
      const [items, start, end] = [list as List, from as bigint, to as bigint];
      if (start < 0n || end < start || end > BigInt(items.length))
        throw new CelEvaluationError(`cannot slice(${start}, ${end}), list is length ${items.length}`);
      budget.work(Number(end - start));
      return items.slice(Number(start), Number(end));
    },
  },
  define<[bigint]>('lists.range', [INT], listOf(INT), ([count], budget) => {
    if (count > BigInt(Math.max(Math.floor(budget.left), 0))) budget.charge(Number.MAX_SAFE_INTEGER);
    budget.work(Number(count < 0n ? 0n : count));
    return Array.from({ length: Number(count < 0n ? 0n : count) }, (_, index) => BigInt(index));
  }),
  positions('indexOf', (list, wanted) => list.findIndex((item) => equalValues(item, wanted))),
  positions('lastIndexOf', (list, wanted) => list.findLastIndex((item) => equalValues(item, wanted))),
  ...sets,
  ...optionals,
];
