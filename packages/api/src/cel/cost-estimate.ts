/**
 * What an expression costs at most, reckoned from the sizes that its schema lets its values have. The model is cel-go's, as is every price:
 * which definitions a cluster takes depends on it. Estimates are made where code is made, from those of its parts.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions
 */
import type { CelType } from './cel-type.ts';
import { ANY_SIZE, either, exactly, FREE, product, type Range, scaled, sum } from './cost-range.ts';
import type { Bounds } from './schema-bounds.ts';

export interface Estimate {
  readonly cost: Range;
  /** Of the value; absent: unknown. */
  readonly size?: Range | undefined;
  /** Where in the schema the value stands; absent: it was made by the expression. */
  readonly place?: Place | undefined;
  readonly entries?: Entries | undefined;
  /** A literal. */
  readonly literal?: bigint | undefined;
}

/** `undefined` bounds: the schema says nothing of such a place. */
export interface Place {
  readonly bounds: Bounds | undefined;
}

/** Sizes of what a list or map that the expression made holds. */
export interface Entries {
  readonly kind: 'list' | 'map';
  readonly key: Range;
  readonly value: Range;
}

/** What is known of a variable's value. */
export type VariableEstimate = Omit<Estimate, 'cost' | 'literal'>;
export type Step = 'items' | 'keys' | 'indices' | { readonly field: string };

/** Prices that the model names. */
export const LIST_COST = 10;
export const MAP_COST = 30;
export const MESSAGE_COST = 40;
/** Of a character that is read. */
export const TEXT_FACTOR = 0.1;
/** Of a character of a regular expression, for each character that it is held against. */
export const PATTERN_FACTOR = 0.25;

const SCALARS: ReadonlySet<CelType['kind']> = new Set(['bool', 'double', 'duration', 'int', 'timestamp', 'uint']);
const ONE = exactly(1);
const EMPTY_LIST: Entries = { kind: 'list', key: ONE, value: FREE };

/** Reckons with the schema that `self` has. */
export class CostEstimator {
  readonly #root: Place;

  /** @param root Of every variable that is given. Default: nothing is known of them. */
  constructor(root?: Bounds) {
    this.#root = { bounds: root };
  }

  literal(size: number | undefined, value?: bigint): Estimate {
    return { cost: FREE, size: size === undefined ? undefined : exactly(size), literal: value };
  }

  /** @param known Of a variable of a macro; absent: it is given from outside. */
  variable(type: CelType, known: VariableEstimate | undefined): Estimate {
    const place = known === undefined ? this.#root : known.place;
    return { cost: ONE, place, size: this.#sizeAt(place) ?? sizeOfType(type) ?? known?.size, entries: known?.entries };
  }

  select(operand: Estimate, operandType: CelType, field: string, type: CelType): Estimate {
    const priced = operandType.kind === 'map' || operandType.kind === 'object';
    const place = this.#within(operand.place, { field });
    return { cost: sum(operand.cost, priced ? ONE : FREE), place, size: this.#sizeAt(place) ?? sizeOfType(type) };
  }

  index(operand: Estimate, operandType: CelType, index: Estimate, type: CelType): Estimate {
    // Lists and maps alike: what stands below a map is its items, too.
    const place = this.#within(operand.place, 'items');
    const size = operand.entries?.value ?? this.#sizeAt(place) ?? sizeOfType(type);
    return { cost: sum(operand.cost, index.cost, ONE), place: operandType.kind === 'optional' ? undefined : place, size };
  }

  /** A call at a price of its own. @param size Of what it gives. */
  call(args: readonly Estimate[], price: Range, type: CelType, size?: Range): Estimate {
    return { cost: sum(...args.map(({ cost }) => cost), price), size: size ?? sizeOfType(type) };
  }

  list(items: readonly Estimate[]): Estimate {
    const cost = sum(...items.map((item) => item.cost), exactly(LIST_COST));
    return { cost, size: exactly(items.length), entries: { kind: 'list', key: ONE, value: sizeOfAny(items) } };
  }

  map(keys: readonly Estimate[], values: readonly Estimate[]): Estimate {
    const cost = sum(...[...keys, ...values].map((part) => part.cost), exactly(MAP_COST));
    return { cost, size: exactly(keys.length), entries: { kind: 'map', key: sizeOfAny(keys), value: sizeOfAny(values) } };
  }

  conditional(test: Estimate, yes: Estimate, no: Estimate): Estimate {
    return {
      cost: sum(test.cost, either(yes.cost, no.cost)),
      size: either(yes.size ?? ANY_SIZE, no.size ?? ANY_SIZE),
      entries: eitherEntries(yes.entries, no.entries),
    };
  }

  /** The first operand may decide alone. */
  logical(left: Estimate, right: Estimate): Estimate {
    return { cost: { min: left.cost.min, max: sum(left.cost, right.cost).max }, size: ONE };
  }

  /** `+` of texts, bytes and lists. */
  concatenation(left: Estimate, right: Estimate, isList: boolean): Estimate {
    const size = sum(left.size ?? ANY_SIZE, right.size ?? ANY_SIZE);
    const cost = sum(left.cost, right.cost, isList ? ONE : scaled(size, TEXT_FACTOR));
    return { cost, size, entries: eitherEntries(left.entries, right.entries) };
  }

  /** Equality, and order of texts and bytes. */
  comparison(left: Estimate, right: Estimate): Estimate {
    return { cost: sum(left.cost, right.cost, comparisonPrice(left, right)), size: ONE };
  }

  /** What a macro's variable for an item, or for the key where there are two, is. */
  iterated(range: Estimate, rangeType: CelType, which: 'single' | 'key' | 'value'): VariableEstimate {
    const isList = (range.entries?.kind ?? rangeType.kind) === 'list';
    const isKey = which === 'key' || (which === 'single' && !isList);
    const step: Step = !isKey ? 'items' : isList ? 'indices' : 'keys';
    return { place: this.#within(range.place, step), size: isKey ? range.entries?.key : range.entries?.value };
  }

  /** What `value` is under a name of its own. */
  named(value: Estimate): VariableEstimate {
    return { place: value.place, size: value.size, entries: value.entries };
  }

  /** `all`, `exists` and `exists_one`. */
  quantifier(name: string, range: Estimate, body: Estimate): Estimate {
    if (name === 'all') return loop(range, { turn: sum(exactly(3), atMost(body.cost)), around: 1, size: ONE });
    if (name === 'exists') return loop(range, { turn: sum(exactly(4), atMost(body.cost)), around: 1, size: ONE });
    return loop(range, { turn: sum(body.cost, { min: 1, max: 2 }), around: 2, size: ONE });
  }

  /** A list of what `body` gives for each item, or each item that passes `filter`. */
  collection(range: Estimate, filter: Estimate | undefined, item: Estimate): Estimate {
    const append = sum(exactly(LIST_COST + 2), item.cost);
    const turn = filter === undefined ? append : sum(filter.cost, either(append, ONE));
    const entries = eitherEntries(EMPTY_LIST, { ...EMPTY_LIST, value: item.size ?? ANY_SIZE });
    return loop(range, { turn, around: LIST_COST + 1, size: sizeOf(range), entries });
  }

  /** A map of an entry for each entry, or for each that passes `filter`. @param whole `body` gives entries, not values. */
  mapping(range: Estimate, filter: Estimate | undefined, body: Estimate, whole: boolean): Estimate {
    const insert = sum(body.cost, exactly(whole ? 2 : 3));
    const turn = filter === undefined ? insert : sum(filter.cost, either(insert, ONE));
    return loop(range, { turn, around: MAP_COST + 1, size: sizeOf(range) });
  }

  /** By keys that are collected first; `range` is looked at under a name of its own. */
  sorting(range: Estimate, key: Estimate, isText: boolean): Estimate {
    const named = { ...range, cost: ONE };
    const keys = this.collection(named, undefined, key);
    const { price, size } = sortingPrice(sizeOf(keys), isText);
    return { cost: sum(range.cost, exactly(LIST_COST), ONE, keys.cost, price), size };
  }

  /** `body` where `target` holds a value, which stands under a name there. */
  optionalMap(target: Estimate, body: Estimate, wraps: boolean, type: CelType): Estimate {
    const bound = sum(exactly(LIST_COST + 1), target.cost, body.cost, wraps ? ONE : FREE);
    return { cost: sum(target.cost, ONE, either(bound, ONE)), size: sizeOfType(type) ?? ANY_SIZE };
  }

  /** Sizes of the items of a list, where the schema tells. */
  itemsOf({ place }: Estimate): Range | undefined {
    return place === undefined ? undefined : this.#sizeAt(this.#within(place, 'items'));
  }

  #sizeAt(place: Place | undefined): Range | undefined {
    return place?.bounds === undefined ? undefined : { min: 0, max: place.bounds.size };
  }

  /** What the expression made itself is looked up as if it stood at the root: cel-go does so, and sizes follow from it. */
  #within(place: Place | undefined, step: Step): Place {
    if (place === undefined) return this.#root;
    if (place.bounds === undefined) return place;
    if (typeof step === 'object') return { bounds: place.bounds.fields?.get(step.field) };
    return { bounds: step === 'items' ? place.bounds.items : step === 'keys' ? place.bounds.keys : undefined };
  }
}

export function sizeOf({ size }: Estimate): Range {
  return size ?? ANY_SIZE;
}

/** Of comparing as much as the smaller of the two holds. */
export function comparisonPrice(left: Estimate, right: Estimate): Range {
  const max = Math.min(sizeOf(left).max, sizeOf(right).max);
  return scaled({ min: max > 0 ? 1 : 0, max }, TEXT_FACTOR);
}

/** Of a list whose items are all held against each other. */
export function sortingPrice(items: Range, isText: boolean): { readonly price: Range; readonly size: Range } {
  const size = product(items, items);
  return { price: sum(scaled(size, isText ? 2 + TEXT_FACTOR : 2), exactly(LIST_COST + 1)), size };
}

interface Loop {
  /** Of each turn, condition and step. */
  readonly turn: Range;
  /** What is paid once. */
  readonly around: number;
  readonly size: Range;
  readonly entries?: Entries | undefined;
}

function loop(range: Estimate, { turn, around, size, entries }: Loop): Estimate {
  return { cost: sum(range.cost, exactly(around), product(sizeOf(range), turn)), size, entries };
}

/** What need not be looked at. */
function atMost({ max }: Range): Range {
  return { min: 0, max };
}

/** Scalars count as one. */
function sizeOfType(type: CelType): Range | undefined {
  if (SCALARS.has(type.kind)) return ONE;
  return type.kind === 'optional' ? sizeOfType(type.of) : undefined;
}

function sizeOfAny(parts: readonly Estimate[]): Range {
  const [first, ...rest] = parts;
  return first === undefined ? FREE : rest.reduce((size, part) => either(size, sizeOf(part)), sizeOf(first));
}

function eitherEntries(a: Entries | undefined, b: Entries | undefined): Entries | undefined {
  return a === undefined || b === undefined ? undefined : { kind: a.kind, key: either(a.key, b.key), value: either(a.value, b.value) };
}
