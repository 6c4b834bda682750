import type { JsonObject } from '../definition.ts';
import { type Amounts, addAmounts, pickAmounts, ZERO } from './amounts.ts';
import type { QuotaEvaluator } from './evaluator.ts';
import type { QuotaScope } from './scopes.ts';

/** Whether an object is among those that a quota with `scopes` speaks of. */
export function inScopes(evaluator: QuotaEvaluator, object: JsonObject, scopes: readonly QuotaScope[]): boolean {
  return scopes.every((scope) => evaluator.matchesScope(object, scope));
}

/** What `objects`, of one resource, use together of those `names` that they count towards; 0 where nothing does. */
export function totalUsage(
  evaluator: QuotaEvaluator,
  objects: readonly JsonObject[],
  scopes: readonly QuotaScope[],
  names: readonly string[],
  nowMs: number,
): Amounts {
  const counted = new Set(names.filter((name) => evaluator.counts(name)));
  const none: Amounts = new Map([...counted].map((name) => [name, ZERO]));
  return objects
    .filter((object) => inScopes(evaluator, object, scopes))
    .reduce(
      (sum, object) =>
        addAmounts(
          sum,
          pickAmounts(evaluator.usage(object, nowMs), (name) => counted.has(name)),
        ),
      none,
    );
}
