import {
  type AdmissionExpression,
  type AdmissionInput,
  type AdmissionScope,
  admissionExpression,
  Budget,
  CelBudgetError,
  type CelCompiler,
  CelEvaluationError,
  MATCH_CONDITIONS_COST_MAX,
} from '@dure/api';
import { evaluated } from './authorization-oracle.ts';

export interface CompiledConditions {
  readonly isEmpty: boolean;
  /** `false` as soon as one condition says so, whatever errors others have. @throws {MatchConditionsError} None does, and some have errors. */
  hold(input: AdmissionInput): Promise<boolean>;
}

/** Some conditions could not be evaluated, and no other settles it. */
export class MatchConditionsError extends Error {
  override readonly name = 'MatchConditionsError';
  readonly code = 'MATCH_CONDITIONS';
}

/** @throws {CelCompileError} They were let in by another version than this. */
export function compileConditions(
  conditions: readonly { readonly expression: string }[],
  scope: AdmissionScope,
  compiler: CelCompiler,
): CompiledConditions {
  const compiled = conditions.map(({ expression }) => admissionExpression(compiler, expression.trim(), scope));
  return { isEmpty: compiled.length === 0, hold: (input) => hold(compiled, input) };
}

async function hold(conditions: readonly AdmissionExpression[], input: AdmissionInput): Promise<boolean> {
  const budget = new Budget(MATCH_CONDITIONS_COST_MAX);
  const errors: string[] = [];
  for (const condition of conditions) {
    try {
      if ((await evaluated(() => condition.evaluate(input, budget))) !== true) return false;
    } catch (error) {
      if (!(error instanceof CelEvaluationError) && !(error instanceof CelBudgetError)) throw error;
      errors.push(failureOf(condition, error, budget));
      if (budget.left <= 0) break;
    }
  }
  if (errors.length > 0) throw new MatchConditionsError(errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]`);
  return true;
}

/** What upstream says of an expression that came to no value. @param budget What all expressions together had; one alone may cost too much, too. */
export function failureOf({ text }: AdmissionExpression, error: Error, budget: Budget): string {
  return error instanceof CelBudgetError && budget.left <= 0
    ? 'validation failed due to running out of cost budget, no further validation rules will be run'
    : `expression '${text}' resulted in error: ${error.message}`;
}
