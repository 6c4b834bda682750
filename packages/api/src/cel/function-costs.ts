/**
 * What functions cost: estimated from sizes, and when they run. Prices are upstream's, so that what passes there passes here; what is not
 * listed costs one unit. What a function takes this evaluator beyond its price is counted apart ({@link Budget.work}).
 * @see k8s.io/apiserver, `pkg/cel/library/cost.go`, and cel-go, `checker/cost.go` and `interpreter/runtimecost.go`
 */
import type { CelType } from './cel-type.ts';
import { CelMap, type CelValue, characterCount, isList, Opaque, Optional } from './cel-value.ts';
import {
  type CostEstimator,
  type Estimate,
  LIST_COST,
  MESSAGE_COST,
  PATTERN_FACTOR,
  sizeOf,
  sortingPrice,
  TEXT_FACTOR,
} from './cost-estimate.ts';
import { ANY_SIZE, either, exactly, product, type Range, scaled, sum, UNBOUNDED } from './cost-range.ts';

export interface Argument {
  readonly type: CelType;
  readonly estimate: Estimate;
}

export interface CallEstimate {
  readonly price: Range;
  /** Of the result. */
  readonly size?: Range | undefined;
}

export interface FunctionCost {
  /** @param args What a method is called on comes first. */
  estimate(args: readonly Argument[], estimator: CostEstimator): CallEstimate;
  /** Paid before it runs. */
  actual(args: readonly CelValue[]): number;
  /** Paid for what it gave. */
  made?(result: CelValue): number;
}

const ONE = exactly(1);
const SIMPLE: FunctionCost = { estimate: () => ({ price: ONE }), actual: () => 1 };

/** Lengths of the expressions behind the named formats, by which upstream prices them. */
const FORMAT_PATTERN_LENGTHS: Readonly<Record<string, number>> = {
  dns1123Label: 30,
  dns1123Subdomain: 60,
  dns1035Label: 30,
  qualifiedName: 60,
  dns1123LabelPrefix: 30,
  dns1123SubdomainPrefix: 60,
  dns1035LabelPrefix: 30,
  labelValue: 40,
  uri: 1104,
  uuid: 72,
  byte: 84,
  date: 72,
  datetime: 72,
};
const FORMAT_PATTERN_LENGTH_MAX = 128;
/** An answer of an authorizer is dear, so that no expression asks more than two questions. */
const CHECK_COST = 350_000;
/** Of an address in bytes. */
const ADDRESS_BYTES: Range = { min: 4, max: 16 };

/** How much CEL counts in a value, wherever a price goes by it. */
export function countOf(value: CelValue | undefined): number {
  if (typeof value === 'string') return characterCount(value);
  if (value === undefined || value === null || typeof value !== 'object') return 1;
  if (isList(value) || value instanceof Uint8Array) return value.length;
  if (value instanceof CelMap) return value.entries.size;
  if (value instanceof Optional) return countOf(value.value);
  if (!(value instanceof Opaque)) return 1;
  if (value.content.kind === 'ip') return value.content.ip.family === 'IPv4' ? 4 : 16;
  return value.content.kind === 'cidr' ? Math.ceil(value.content.cidr.prefixLength / 8) : 1;
}

/** Of equality, and of order between texts or bytes. */
export function comparisonCost(left: CelValue, right: CelValue): number {
  if (left instanceof Opaque) return 1;
  if (typeof left === 'string' && typeof right === 'string') return Math.ceil(shorterCount(left, right) * TEXT_FACTOR);
  return Math.ceil(Math.min(countOf(left), countOf(right)) * TEXT_FACTOR);
}

/** Of sorting by `keys`, and of whatever else holds all items against each other. */
export function selfComparisonCost(keys: readonly CelValue[]): number {
  const [first] = keys;
  const factor = typeof first === 'string' || first instanceof Uint8Array ? 2 + TEXT_FACTOR : 2;
  return allocation(keys.length * keys.length, factor);
}

/** Without looking through a text that is long beside the other. */
function shorterCount(a: string, b: string): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  const count = characterCount(short);
  return long.length >= short.length * 2 ? count : Math.min(count, characterCount(long));
}

function allocation(size: number, factor: number): number {
  return Math.floor(size * factor) + LIST_COST + 1;
}

function sizeAt(args: readonly Argument[], at: number): Range {
  const argument = args[at];
  return argument === undefined ? ANY_SIZE : sizeOf(argument.estimate);
}

function literalAt(args: readonly Argument[], at: number, otherwise: number): number {
  const literal = args[at]?.estimate.literal;
  return literal === undefined || literal < 0n ? otherwise : Number(literal);
}

/** Reading the text at `at`, `times` over. @param size Of what it gives. */
function reading(at: number, times = 1, size?: (args: readonly Argument[]) => Range): FunctionCost {
  return {
    estimate: (args) => ({ price: scaled(sizeAt(args, at), times * TEXT_FACTOR), size: size?.(args) }),
    actual: (args) => Math.ceil(countOf(args[at]) * times * TEXT_FACTOR),
  };
}

const sameSize = (args: readonly Argument[]): Range => sizeAt(args, 0);

/** Holding a text against a pattern. An empty text is something, too. */
function matching(size?: (args: readonly Argument[]) => Range): FunctionCost {
  return {
    estimate: (args) => ({
      price: product(scaled(sum(sizeAt(args, 0), ONE), TEXT_FACTOR), scaled(sizeAt(args, 1), PATTERN_FACTOR)),
      size: size?.(args),
    }),
    actual: ([text, pattern]) => Math.ceil((1 + countOf(text)) * TEXT_FACTOR) * Math.ceil(countOf(pattern) * PATTERN_FACTOR),
  };
}

/** Going through a whole list or text once. */
const TRAVERSAL: FunctionCost = {
  estimate: ([target], estimator) => {
    if (target === undefined) return { price: ONE };
    const size = sizeOf(target.estimate);
    if (target.type.kind !== 'list') return { price: scaled(size, TEXT_FACTOR) };
    const isText = target.type.of.kind === 'string' || target.type.of.kind === 'bytes';
    const item = isText ? sum(ONE, scaled(estimator.itemsOf(target.estimate) ?? ANY_SIZE, TEXT_FACTOR)) : ONE;
    return { price: product(size, item) };
  },
  actual: ([value]) => (value === undefined ? 1 : traversalCost(value)),
};

function traversalCost(value: CelValue): number {
  if (typeof value === 'string') return Math.floor(Buffer.byteLength(value) * TEXT_FACTOR);
  if (value instanceof Uint8Array) return Math.floor(value.length * TEXT_FACTOR);
  if (isList(value)) return value.reduce<number>((cost, item) => cost + traversalCost(item), 0);
  if (!(value instanceof CelMap)) return 1;
  let cost = 0;
  for (const [key, item] of value.entries) cost += traversalCost(key) + traversalCost(item);
  return cost;
}

const REPLACE: FunctionCost = {
  estimate: (args) => {
    const [size, part, by] = [sizeAt(args, 0), sizeAt(args, 1), sizeAt(args, 2)];
    const longest =
      part.min === 0 ? (size.max + 1) * by.max + size.max : by.max <= part.min ? size.max : Math.ceil(size.max / part.min) * by.max;
    const shortest =
      part.max === 0 ? (size.min + 1) * by.min + size.min : part.max <= by.min ? size.min : Math.ceil(size.min / part.max) * by.min;
    return { price: scaled(size, 2 * TEXT_FACTOR), size: { min: shortest, max: Math.min(longest, UNBOUNDED) } };
  },
  actual: ([text]) => Math.ceil(countOf(text) * 2 * TEXT_FACTOR),
};

const JOIN: FunctionCost = {
  estimate: (args, estimator) => {
    const [list] = args;
    const count = sizeAt(args, 0);
    const items = list === undefined ? ANY_SIZE : (estimator.itemsOf(list.estimate) ?? ANY_SIZE);
    const gaps = { min: Math.max(count.min - 1, 0), max: Math.max(count.max - 1, 0) };
    const size = sum(product(count, items), args.length > 1 ? product(sizeAt(args, 1), gaps) : exactly(0));
    return { price: scaled(size, TEXT_FACTOR), size };
  },
  actual: () => 0,
  made: (result) => Math.ceil(countOf(result) * 2 * TEXT_FACTOR),
};

const CONTAINS: FunctionCost = {
  estimate: (args) => ({ price: product(scaled(sizeAt(args, 0), TEXT_FACTOR), scaled(sizeAt(args, 1), TEXT_FACTOR)) }),
  actual: ([text, part]) => Math.ceil(countOf(text) * TEXT_FACTOR) * Math.ceil(countOf(part) * TEXT_FACTOR),
};

/** Upstream estimates by the part that is looked for and pays for the whole. */
const AFFIX: FunctionCost = {
  estimate: (args) => ({ price: scaled(sizeAt(args, 1), TEXT_FACTOR) }),
  actual: ([text]) => Math.ceil(countOf(text) * TEXT_FACTOR),
};

/** Conversions that read what they convert, where it is of the type `long`. */
function conversion(long: 'string' | 'bytes', size: (from: Range) => Range): FunctionCost {
  return {
    estimate: ([argument]) => {
      if (argument === undefined || (argument.type.kind !== long && argument.type.kind !== 'dyn')) return { price: ONE };
      const from = sizeOf(argument.estimate);
      const price = scaled(from, TEXT_FACTOR);
      return { price: argument.type.kind === 'dyn' ? either(price, ONE) : price, size: size(from) };
    },
    actual: ([value]) => {
      const isLong = long === 'string' ? typeof value === 'string' : value instanceof Uint8Array;
      return isLong ? Math.ceil(countOf(value) * TEXT_FACTOR) : 1;
    },
  };
}

/** Comparing address blocks; what is given as text is parsed first. */
function blockComparison(masks: boolean): FunctionCost {
  const compared = scaled(sum(ADDRESS_BYTES, ADDRESS_BYTES), TEXT_FACTOR);
  const price = masks ? sum(compared, scaled(ADDRESS_BYTES, TEXT_FACTOR), ONE) : compared;
  return {
    estimate: (args) => ({ price: args[1]?.type.kind === 'opaque' ? price : sum(price, scaled(sizeAt(args, 1), TEXT_FACTOR)) }),
    actual: ([block, other]) => {
      const bytes = countOf(block);
      const parsed = typeof other === 'string' ? Math.ceil(countOf(other) * TEXT_FACTOR) : 0;
      return Math.ceil((bytes + bytes) * TEXT_FACTOR) + (masks ? Math.ceil(bytes * TEXT_FACTOR) + 1 : 0) + parsed;
    },
  };
}

/** Parsing an address; that of a block is at hand. */
const ADDRESS: FunctionCost = {
  estimate: (args) => ({ price: args[0]?.type.kind === 'opaque' ? ONE : scaled(sizeAt(args, 0), TEXT_FACTOR) }),
  actual: ([value]) => (value instanceof Opaque ? 1 : Math.ceil(countOf(value) * TEXT_FACTOR)),
};

const VALIDATE: FunctionCost = {
  estimate: (args) => ({ price: scaled(scaled(sizeAt(args, 1), TEXT_FACTOR), FORMAT_PATTERN_LENGTH_MAX * PATTERN_FACTOR) }),
  actual: ([format, text]) => {
    const name = format instanceof Opaque && format.content.kind === 'format' ? format.content.format : '';
    const pattern = Math.ceil((FORMAT_PATTERN_LENGTHS[name] ?? FORMAT_PATTERN_LENGTH_MAX) * PATTERN_FACTOR);
    return Math.ceil((1 + countOf(text)) * TEXT_FACTOR) * pattern;
  },
};

/** Parsing a selector into its requirements, the shortest of which has two characters. */
const SELECTOR: FunctionCost = {
  estimate: (args) => {
    const size = sizeAt(args, 1);
    return { price: sum(exactly(LIST_COST), scaled(size, TEXT_FACTOR), scaled(scaled(size, 0.5), LIST_COST + MESSAGE_COST)) };
  },
  actual: ([, text]) => {
    const size = countOf(text);
    return LIST_COST + Math.ceil(size * TEXT_FACTOR) + Math.ceil(size * 0.5) * (LIST_COST + MESSAGE_COST);
  },
};

/** Functions that make a list. */
function making(size: (args: readonly Argument[]) => Range): FunctionCost {
  return {
    estimate: (args) => {
      const made = size(args);
      return { price: sum(made, exactly(LIST_COST + 1)), size: made };
    },
    actual: () => 0,
    made: (result) => allocation(countOf(result), 1),
  };
}

const FLATTEN: FunctionCost = {
  estimate: (args) => {
    const depth = args.length > 1 ? literalAt(args, 1, UNBOUNDED) : 1;
    return { price: sum(scaled(sizeAt(args, 0), depth), exactly(LIST_COST + 1)), size: sizeAt(args, 0) };
  },
  actual: ([list, depth]) => allocation(countOf(list), typeof depth === 'bigint' ? Math.max(Number(depth), 0) : 1),
};

function selfComparison(bySort: boolean): FunctionCost {
  return {
    estimate: (args) => {
      const { type } = args[0] ?? {};
      return sortingPrice(sizeAt(args, 0), bySort && type?.kind === 'list' && (type.of.kind === 'string' || type.of.kind === 'bytes'));
    },
    actual: ([list]) => (list !== undefined && isList(list) ? selfComparisonCost(list) : 1),
  };
}

function setComparison(factor: number): FunctionCost {
  return {
    estimate: (args) => ({ price: sum(scaled(product(sizeAt(args, 0), sizeAt(args, 1)), factor), ONE) }),
    actual: ([a, b]) => 1 + countOf(a) * countOf(b) * factor,
  };
}

const quoted = (args: readonly Argument[]): Range => {
  const { min, max } = sizeAt(args, 0);
  return { min: min + 2, max: max * 2 + 2 };
};
const upToSize = (args: readonly Argument[]): Range => ({ min: 0, max: sizeAt(args, 0).max });
const upToLimit = (args: readonly Argument[]): Range => ({ min: 0, max: literalAt(args, 2, sizeAt(args, 0).max) });

const COSTS: ReadonlyMap<string, FunctionCost> = new Map(
  Object.entries({
    startsWith: AFFIX,
    endsWith: AFFIX,
    contains: CONTAINS,
    find: matching(upToSize),
    findAll: matching(upToSize),
    lowerAscii: reading(0, 1, sameSize),
    upperAscii: reading(0, 1, sameSize),
    substring: reading(0, 1, sameSize),
    trim: reading(0, 1, sameSize),
    url: reading(0, 1, sameSize),
    'jsonpatch.escapeKey': reading(0, 1, sameSize),
    'strings.quote': reading(0, 1, quoted),
    format: reading(0),
    replace: REPLACE,
    split: reading(0, 2, upToLimit),
    join: JOIN,
    string: conversion('bytes', ({ min, max }) => ({ min: Math.floor(min / 4), max })),
    bytes: conversion('string', ({ min, max }) => ({ min, max: max * 4 })),
    isSorted: TRAVERSAL,
    sum: TRAVERSAL,
    min: TRAVERSAL,
    max: TRAVERSAL,
    indexOf: TRAVERSAL,
    lastIndexOf: TRAVERSAL,
    slice: making((args) => exactly(literalAt(args, 2, sizeAt(args, 0).max) - literalAt(args, 1, 0))),
    'lists.range': making((args) => exactly(literalAt(args, 0, UNBOUNDED))),
    reverse: making(sameSize),
    flatten: FLATTEN,
    distinct: selfComparison(false),
    sort: selfComparison(true),
    'sets.contains': setComparison(1),
    'sets.intersects': setComparison(1),
    'sets.equivalent': setComparison(2),
    isIP: reading(0),
    ip: ADDRESS,
    cidr: reading(0),
    isCIDR: reading(0),
    'ip.isCanonical': reading(0, 2),
    containsIP: blockComparison(false),
    containsCIDR: blockComparison(true),
    quantity: reading(0),
    isQuantity: reading(0),
    semver: reading(0),
    isSemver: reading(0),
    validate: VALIDATE,
    fieldSelector: SELECTOR,
    labelSelector: SELECTOR,
    check: { estimate: () => ({ price: exactly(CHECK_COST) }), actual: () => CHECK_COST },
  }),
);
const MATCHES = matching();

export function costOfFunction(name: string, method: boolean): FunctionCost {
  // Called as a function, `matches` costs one unit upstream, whatever it looks through.
  if (name === 'matches') return method ? MATCHES : SIMPLE;
  return COSTS.get(name) ?? SIMPLE;
}
