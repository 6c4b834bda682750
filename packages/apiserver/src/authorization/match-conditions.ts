import {
  BOOL,
  Budget,
  CelBudgetError,
  CelCompileError,
  type CelCompiler,
  CelEvaluationError,
  type CelType,
  DYN,
  type Expression,
  type Json,
  listOf,
  mapOf,
  OBJECT_COST_MAX,
  SchemaValues,
  STRING,
} from '@dure/api';
import type { FileFaults } from '../config-files/config-file.ts';
import type { AccessReviewSpec } from './access-review-spec.ts';

const object = (name: string, fields: Readonly<Record<string, CelType>>): CelType => ({
  kind: 'object',
  name: `kubernetes.${name}`,
  fields: new Map(Object.entries(fields)),
});

const requirements = (name: string): CelType =>
  object(`${name}Attributes`, {
    rawSelector: STRING,
    requirements: listOf(object(`${name}Requirement`, { key: STRING, operator: STRING, values: listOf(STRING) })),
  });

/** `request`: the spec of a SubjectAccessReview. */
const REQUEST = object('SubjectAccessReviewSpec', {
  resourceAttributes: object('ResourceAttributes', {
    namespace: STRING,
    verb: STRING,
    group: STRING,
    version: STRING,
    resource: STRING,
    subresource: STRING,
    name: STRING,
    fieldSelector: requirements('FieldSelector'),
    labelSelector: requirements('LabelSelector'),
  }),
  nonResourceAttributes: object('NonResourceAttributes', { path: STRING, verb: STRING }),
  user: STRING,
  groups: listOf(STRING),
  extra: mapOf(STRING, listOf(STRING)),
  uid: STRING,
});

/** What must be true of a question for a webhook to be asked it. */
export class MatchConditions {
  readonly #conditions: readonly Expression[];

  constructor(conditions: readonly Expression[]) {
    this.#conditions = conditions;
  }

  /** False as soon as one is false, whatever others do. @throws {Error} None is false, but one came to no answer. */
  hold(spec: AccessReviewSpec): boolean {
    if (this.#conditions.length === 0) return true;
    const value = new SchemaValues().of(spec as unknown as Json, undefined);
    const budget = new Budget(OBJECT_COST_MAX);
    let fault: Error | undefined;
    for (const condition of this.#conditions) {
      try {
        if (condition.evaluate([value], budget) !== true) return false;
      } catch (error) {
        if (!(error instanceof CelEvaluationError) && !(error instanceof CelBudgetError)) throw error;
        fault ??= error;
      }
    }
    if (fault !== undefined) throw new Error(`evaluate match conditions: ${fault.message}`, { cause: fault });
    return true;
  }
}

/** Hold for every question. */
export const NO_CONDITIONS = new MatchConditions([]);

/** @param faults Gets what is wrong with the expressions; then what is returned must not be used. */
export function compileConditions(
  expressions: readonly string[],
  path: string,
  compiler: CelCompiler,
  faults: FileFaults,
): MatchConditions {
  const compiled = expressions.flatMap((text, index) => {
    const at = `${path}[${index}].expression`;
    try {
      const condition = compiler.compile(text, [{ name: 'request', type: REQUEST }]);
      if (condition.type.kind !== BOOL.kind && condition.type.kind !== DYN.kind)
        faults.add(at, `Invalid value: ${JSON.stringify(text)}: must evaluate to bool`);
      return [condition];
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      faults.add(at, `Invalid value: ${JSON.stringify(text)}: compilation failed: ${error.message}`);
      return [];
    }
  });
  return new MatchConditions(compiled);
}
