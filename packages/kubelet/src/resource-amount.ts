import { parseQuantity, quantityToMillis, quantityToUnits } from '@dure/api';

/** A quantity as a plain number: cores for cpu, bytes for memory. For ratios and comparisons; counts go through the exact forms below. @throws {QuantityError} */
export function amountOf(quantity: string): number {
  return Number(parseQuantity(quantity).nanos) / 1e9;
}

/** Thousandths of a core, rounded up. @throws {QuantityError} */
export function cpuMillisOf(quantity: string | undefined): number | undefined {
  return quantity === undefined ? undefined : Number(quantityToMillis(parseQuantity(quantity)));
}

/** Whole bytes (or whole units of anything else), rounded up. @throws {QuantityError} */
export function bytesOf(quantity: string | undefined): number | undefined {
  return quantity === undefined ? undefined : Number(quantityToUnits(parseQuantity(quantity)));
}
