/** Costs and sizes from the least to the most that they can be. Upstream counts in 64 bits and stays at the largest number; so does this. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** What nothing bounds. */
export const UNBOUNDED = 2 ** 64;
export const ANY_SIZE: Range = Object.freeze({ min: 0, max: UNBOUNDED });
export const FREE: Range = Object.freeze({ min: 0, max: 0 });

export function exactly(value: number): Range {
  return { min: value, max: value };
}

export function sum(...ranges: readonly Range[]): Range {
  let [min, max] = [0, 0];
  for (const range of ranges) {
    min += range.min;
    max += range.max;
  }
  return bounded(min, max);
}

export function product(a: Range, b: Range): Range {
  return bounded(a.min * b.min, a.max * b.max);
}

/** Rounded up to whole units. */
export function scaled({ min, max }: Range, factor: number): Range {
  return bounded(Math.ceil(min * factor), Math.ceil(max * factor));
}

/** Either of the two. */
export function either(a: Range, b: Range): Range {
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

function bounded(min: number, max: number): Range {
  return { min: Math.min(min, UNBOUNDED), max: Math.min(max, UNBOUNDED) };
}
