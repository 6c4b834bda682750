import type { JsonObject } from '../definition.ts';
import { addQuantities, compareQuantities, formatQuantity, type Quantity, quantityFromUnits, quantityOf } from '../quantity.ts';

/** Amounts of named things: what Pods ask for, what a ResourceQuota limits, what is used of it. */
export type Amounts = ReadonlyMap<string, Quantity>;

export const ONE: Quantity = quantityFromUnits(1);
export const ZERO: Quantity = quantityFromUnits(0);

/** The amounts in a map of quantities; what is no quantity is left out. */
export function amountsOf(list: JsonObject | undefined): Amounts {
  const amounts = new Map<string, Quantity>();
  for (const [name, text] of Object.entries(list ?? {})) {
    const amount = quantityOf(text);
    if (amount !== undefined) amounts.set(name, amount);
  }
  return amounts;
}

/** As it stands in an object, in canonical spelling. */
export function amountsJson(amounts: Amounts): JsonObject {
  return Object.fromEntries([...amounts].map(([name, amount]) => [name, formatQuantity(amount)]));
}

/** `cpu=1,memory=2Gi`, by name: the form in messages. */
export function printAmounts(amounts: Amounts): string {
  return [...amounts]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, amount]) => `${name}=${formatQuantity(amount)}`)
    .join(',');
}

/** For each name of either the sum, spelled as in `one` unless that is 0. */
export function addAmounts(one: Amounts, other: Amounts): Amounts {
  const sum = new Map(one);
  for (const [name, amount] of other) {
    const before = sum.get(name);
    sum.set(name, before === undefined ? amount : addQuantities(before, amount));
  }
  return sum;
}

/** For each name of either the difference, or 0 where that is negative. */
export function subtractAmounts(one: Amounts, other: Amounts): Amounts {
  const rest = new Map(one);
  for (const [name, amount] of other) {
    const before = rest.get(name) ?? ZERO;
    const nanos = before.nanos - amount.nanos;
    rest.set(name, { nanos: nanos < 0n ? 0n : nanos, format: before.format });
  }
  return rest;
}

/** For each name of either the larger. */
export function maxAmounts(one: Amounts, other: Amounts): Amounts {
  const largest = new Map(one);
  for (const [name, amount] of other) {
    const before = largest.get(name);
    if (before === undefined || compareQuantities(amount, before) > 0) largest.set(name, amount);
  }
  return largest;
}

export function pickAmounts(amounts: Amounts, wanted: (name: string) => boolean): Amounts {
  return new Map([...amounts].filter(([name]) => wanted(name)));
}

/** The same names with the same values, however spelled. */
export function equalAmounts(one: Amounts, other: Amounts): boolean {
  return one.size === other.size && [...one].every(([name, { nanos }]) => other.get(name)?.nanos === nanos);
}
