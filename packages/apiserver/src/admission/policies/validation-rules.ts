import { setImmediate } from 'node:timers/promises';
import {
  ADMISSION_COST_MAX,
  type AdmissionExpression,
  type AdmissionInput,
  admissionExpression,
  Budget,
  CelBudgetError,
  CelEvaluationError,
  type ValidatingAdmissionPolicySpec,
} from '@dure/api';
import { evaluated } from '../matching/authorization-oracle.ts';
import { failureOf } from '../matching/match-conditions.ts';
import type { PolicyCompiling } from './policy-set.ts';

/** What a validating policy asks of a request, compiled. */
export interface ValidationRules {
  readonly validations: readonly {
    readonly expression: AdmissionExpression;
    readonly messageExpression: AdmissionExpression | undefined;
    readonly message: string;
    readonly reason: string;
  }[];
  readonly annotations: readonly { readonly key: string; readonly expression: AdmissionExpression }[];
}

/** One rule that does not hold, or could not be evaluated. */
export interface RuleFailure {
  /** Of the validation; -1 where all of them together fail. */
  readonly index: number;
  readonly message: string;
  readonly reason: string;
  /** The rule came to no answer: the failure policy says what comes of it. */
  readonly isError: boolean;
}

export interface Findings {
  readonly failures: readonly RuleFailure[];
  readonly annotations: readonly { readonly key: string; readonly value: string }[];
  /** Annotations that could not be made: where the policy fails closed, that refuses the request. */
  readonly annotationErrors: readonly string[];
}

const MESSAGE_LENGTH_MAX = 5 * 1024;
/** Some ten milliseconds. */
const COST_IN_ONE_GO_MAX = 100_000;

/** @throws {CelCompileError} */
export function compileValidations(spec: ValidatingAdmissionPolicySpec, { compiler, variables, params }: PolicyCompiling): ValidationRules {
  const scope = { params, authorizer: true, variables: variables.declared };
  return {
    validations: (spec.validations ?? []).map(({ expression, messageExpression = '', message = '', reason = '' }) => ({
      expression: admissionExpression(compiler, expression, scope),
      messageExpression:
        messageExpression === '' ? undefined : admissionExpression(compiler, messageExpression, { ...scope, authorizer: false }),
      message: message.trim(),
      reason: reason === '' ? 'Invalid' : reason,
    })),
    annotations: (spec.auditAnnotations ?? []).map(({ key, valueExpression }) => ({
      key,
      expression: admissionExpression(compiler, valueExpression.trim(), scope),
    })),
  };
}

/** Evaluates every rule. @param input With the policy's variables. */
export async function findingsOf({ validations, annotations }: ValidationRules, input: AdmissionInput): Promise<Findings> {
  const budget = new Budget(ADMISSION_COST_MAX);
  const failures: RuleFailure[] = [];
  for (const [index, { expression, messageExpression, message, reason }] of validations.entries()) {
    const outcome = await outcomeOf(expression, input, budget);
    if ('value' in outcome) {
      if (outcome.value === true) continue;
      const said = messageExpression === undefined ? '' : await spokenMessage(messageExpression, input, budget);
      const usual = message === '' ? `failed expression: ${expression.text.trim()}` : message;
      failures.push({ index, message: said === '' ? usual : said, reason, isError: false });
    } else if (budget.left <= 0) {
      // Nothing that was found before counts either: who pays for it cannot be told.
      return { failures: [{ index: -1, message: outcome.error, reason: 'Invalid', isError: true }], annotations: [], annotationErrors: [] };
    } else failures.push({ index, message: outcome.error, reason: 'Invalid', isError: true });
  }
  return { failures, ...(await annotationsOf(annotations, input)) };
}

async function annotationsOf(
  annotations: ValidationRules['annotations'],
  input: AdmissionInput,
): Promise<Pick<Findings, 'annotations' | 'annotationErrors'>> {
  const budget = new Budget(ADMISSION_COST_MAX);
  const made: { readonly key: string; readonly value: string }[] = [];
  const errors: string[] = [];
  for (const { key, expression } of annotations) {
    const outcome = await outcomeOf(expression, input, budget);
    if ('error' in outcome) errors.push(outcome.error);
    else if (typeof outcome.value === 'string') {
      const value = outcome.value.trim();
      if (value !== '') made.push({ key, value });
    } else if (outcome.value !== null) {
      errors.push(
        `valueExpression '${expression.text}' resulted in unsupported return type: ${typeof outcome.value}. Return type must be either string or null.`,
      );
    }
  }
  return { annotations: made, annotationErrors: errors };
}

async function outcomeOf(
  expression: AdmissionExpression,
  input: AdmissionInput,
  budget: Budget,
): Promise<{ readonly value: unknown } | { readonly error: string }> {
  const before = budget.left;
  try {
    return { value: await evaluated(() => expression.evaluate(input, budget)) };
  } catch (error) {
    if (error instanceof CelEvaluationError || error instanceof CelBudgetError) return { error: failureOf(expression, error, budget) };
    throw error;
  } finally {
    // A policy may have many that are dear: other requests go between.
    if (before - budget.left > COST_IN_ONE_GO_MAX) await setImmediate();
  }
}

/** '' where it comes to no text that can be shown in one line. */
async function spokenMessage(expression: AdmissionExpression, input: AdmissionInput, budget: Budget): Promise<string> {
  const outcome = await outcomeOf(expression, input, budget);
  if (!('value' in outcome) || typeof outcome.value !== 'string') return '';
  const text = outcome.value.trim();
  return Buffer.byteLength(text) > MESSAGE_LENGTH_MAX || text.includes('\n') ? '' : text;
}
