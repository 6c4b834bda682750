import { CelBudgetError } from './cel-error.ts';

/** Upstream's bounds: of one expression, and of all rules about one object, in its units. */
export const EXPRESSION_COST_MAX = 1_000_000;
export const OBJECT_COST_MAX = 10_000_000;
/** Of {@link Budget.work}. As much as the dearest expression pays for, so that only what is priced below its worth comes to this bound. */
const WORK_MAX = 1_000_000;

/**
 * What an evaluation may still cost. Prices are upstream's, and expressions that it lets run are to run here. What takes longer here than its
 * price says (copies of lists, deep comparisons) is counted besides as work, so that nothing runs or grows without end.
 */
export class Budget {
  #left: number;
  #workLeft = WORK_MAX;

  constructor(cost: number) {
    this.#left = cost;
  }

  get left(): number {
    return this.#left;
  }

  /** @throws {CelBudgetError} */
  charge(cost: number): void {
    this.#left -= cost;
    if (this.#left < 0) throw exhausted();
  }

  /** Counts `units` of about a copied item, or ten characters. @throws {CelBudgetError} */
  work(units: number): void {
    this.#workLeft -= units;
    if (this.#workLeft < 0) throw exhausted();
  }

  /** `value`, for `units` of work. @throws {CelBudgetError} */
  worked<T>(units: number, value: T): T {
    this.work(units);
    return value;
  }
}

function exhausted(): CelBudgetError {
  return new CelBudgetError('operation cancelled: actual cost limit exceeded');
}
