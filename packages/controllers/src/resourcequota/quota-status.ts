import {
  type Amounts,
  amountsJson,
  amountsOf,
  equalAmounts,
  type JsonObject,
  maxAmounts,
  objectAt,
  pickAmounts,
  type ResourceQuota,
} from '@dure/api';

export interface QuotaPlan {
  /** The status to write; absent: it is right already. */
  readonly status?: { readonly hard: JsonObject; readonly used: JsonObject };
  /** Less is used than the status says, and that is not written down yet. */
  readonly postponed: boolean;
}

/**
 * What the status of `quota` should say. Pure.
 * @param counted What is used, of the names whose objects could be counted; others keep what was known of them.
 * @param mayLower False while a claim may still be on its way into an object: then what is used can only rise.
 */
export function planQuotaStatus(quota: ResourceQuota, counted: Amounts, mayLower: boolean): QuotaPlan {
  const object = quota as unknown as JsonObject;
  const limits = amountsOf(objectAt(object, 'spec', 'hard'));
  const known = pickAmounts(amountsOf(objectAt(object, 'status', 'used')), (name) => limits.has(name));
  const actual: Amounts = new Map([...known, ...counted]);
  const used = mayLower ? actual : maxAmounts(actual, known);
  const postponed = !equalAmounts(used, actual);
  const isRight =
    objectAt(object, 'status', 'hard') !== undefined &&
    objectAt(object, 'status', 'used') !== undefined &&
    equalAmounts(limits, amountsOf(objectAt(object, 'status', 'hard'))) &&
    equalAmounts(used, amountsOf(objectAt(object, 'status', 'used')));
  return isRight ? { postponed } : { status: { hard: amountsJson(limits), used: amountsJson(used) }, postponed };
}

/** Whether `next` has more of anything in use than `before`: somebody claimed it. */
export function hasClaimed(before: ResourceQuota, next: ResourceQuota): boolean {
  const old = amountsOf(before.status?.used as JsonObject | undefined);
  return [...amountsOf(next.status?.used as JsonObject | undefined)].some(([name, { nanos }]) => nanos > (old.get(name)?.nanos ?? 0n));
}
