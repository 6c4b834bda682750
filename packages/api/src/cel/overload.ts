import type { Budget } from './budget.ts';
import { type CelType, isAssignable } from './cel-type.ts';
import { type CelValue, typeOfValue } from './cel-value.ts';

/** One meaning of a function's name. */
export interface Overload {
  readonly name: string;
  /** Called on its first argument: `a.f(b)`. */
  readonly method: boolean;
  /** The type of the result for arguments of these types; `undefined` where they do not fit. */
  resultOf(types: readonly CelType[]): CelType | undefined;
  /** @throws {CelEvaluationError} @throws {CelBudgetError} */
  run(args: readonly CelValue[], budget: Budget): CelValue;
  /** What runs instead where some arguments stand in the text and can be made ready once. `undefined`: nothing is gained. @throws {CelEvaluationError} */
  prepare?(constants: readonly (CelValue | undefined)[]): Overload['run'] | undefined;
}

/** Overloads by name and by whether they are methods. */
export class OverloadTable {
  readonly #byName = new Map<string, Overload[]>();

  constructor(overloads: readonly Overload[]) {
    for (const overload of overloads) {
      const key = keyOf(overload.name, overload.method);
      this.#byName.set(key, [...(this.#byName.get(key) ?? []), overload]);
    }
  }

  has(name: string, method: boolean): boolean {
    return this.#byName.has(keyOf(name, method));
  }

  /** Those that fit arguments of these types. */
  fitting(name: string, method: boolean, types: readonly CelType[]): readonly Overload[] {
    return (this.#byName.get(keyOf(name, method)) ?? []).filter((overload) => overload.resultOf(types) !== undefined);
  }
}

/** A function of fixed types. */
export function define<T extends readonly CelValue[]>(
  name: string,
  params: readonly CelType[],
  result: CelType,
  run: (args: T, budget: Budget) => CelValue,
): Overload {
  return {
    name,
    method: false,
    resultOf: (types) =>
      types.length === params.length && params.every((param, at) => isAssignable(types[at] as CelType, param)) ? result : undefined,
    run: (args, budget) => run(args as unknown as T, budget),
  };
}

/** The same, called on its first argument. */
export function method<T extends readonly CelValue[]>(
  name: string,
  params: readonly CelType[],
  result: CelType,
  run: (args: T, budget: Budget) => CelValue,
): Overload {
  return { ...define(name, params, result, run), method: true };
}

/** The overload that fits these very values. */
export function dispatch(candidates: readonly Overload[], args: readonly CelValue[]): Overload | undefined {
  const types = args.map(typeOfValue);
  return candidates.find((overload) => overload.resultOf(types) !== undefined);
}

function keyOf(name: string, isMethod: boolean): string {
  return isMethod ? `.${name}` : name;
}
