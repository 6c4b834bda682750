import { CelBudgetError } from './cel-error.ts';

/** Upstream's bounds: of one expression, and of all rules about one object. Units are steps, by which upstream's costs are too. */
export const EXPRESSION_COST_MAX = 1_000_000;
export const OBJECT_COST_MAX = 10_000_000;

/** What an evaluation may still cost. Every step takes from it, and what is long takes more, so that no expression runs or grows without end. */
export class Budget {
  #left: number;

  constructor(cost: number) {
    this.#left = cost;
  }

  get left(): number {
    return this.#left;
  }

  /** @throws {CelBudgetError} */
  charge(cost: number): void {
    this.#left -= cost;
    if (this.#left < 0) throw new CelBudgetError('operation cancelled: actual cost limit exceeded');
  }

  /** `value`, for `cost`. @throws {CelBudgetError} */
  pay<T>(cost: number, value: T): T {
    this.charge(cost);
    return value;
  }
}
