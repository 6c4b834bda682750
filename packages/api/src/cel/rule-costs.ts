/** What the rules of a schema may cost at most: each alone, and all together. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions */
import { type FieldError, forbidden } from '../field-error.ts';
import { UNBOUNDED } from './cost-range.ts';

/** Upstream's bounds of estimates. */
const RULE_COST_MAX = 10_000_000;
const SCHEMA_COST_MAX = 100_000_000;
/** Rules that are named when all together are too dear: the dearest, and none that contributes less than this part. */
const NAMED_MAX = 4;
const NAMED_PART = 0.01;

/** Adds up the rules of one schema. */
export class RuleCosts {
  readonly #dear: { readonly path: string; readonly cost: number }[] = [];
  #total = 0;

  /**
   * @param what The expression is, in the words of the message. @param times How often one object can hold what it is about.
   * @returns Why the expression itself is too dear.
   */
  add(what: 'rule' | 'messageExpression', path: string, costMax: number, times: number): FieldError[] {
    const cost = Math.min(costMax * times, UNBOUNDED);
    this.#total = Math.min(this.#total + cost, UNBOUNDED);
    if (cost >= SCHEMA_COST_MAX * NAMED_PART) this.#dear.push({ path, cost });
    return cost > RULE_COST_MAX ? [forbidden(path, excess(`estimated ${what} cost`, cost / RULE_COST_MAX))] : [];
  }

  /** Why all of them are too dear together. @param path Of the schema. */
  faults(path: string): FieldError[] {
    if (this.#total <= SCHEMA_COST_MAX) return [];
    const dearest = this.#dear.toSorted((a, b) => b.cost - a.cost).slice(0, NAMED_MAX);
    return [
      ...dearest.map((rule) =>
        forbidden(rule.path, 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'),
      ),
      forbidden(
        path,
        excess('x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema', this.#total / SCHEMA_COST_MAX),
      ),
    ];
  }
}

function excess(what: string, factor: number): string {
  // Near the bound one decimal would read as if there were no excess; far from it no number means anything.
  const shown = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
