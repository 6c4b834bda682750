/** Conditions in the status of objects that the server itself speaks for. Pure. */
import { type JsonObject, objectsAt, stringAt } from '@dure/api';

export type ConditionStatus = 'True' | 'False' | 'Unknown';

export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

export function hasCondition(object: JsonObject, type: string, status: ConditionStatus = 'True'): boolean {
  return objectsAt(object, 'status', 'conditions').some((one) => stringAt(one, 'type') === type && stringAt(one, 'status') === status);
}

/** `status` with `condition` in it; the time of transition moves only where the status does. @param now RFC 3339. */
export function withCondition(status: JsonObject, condition: Condition, now: string): JsonObject {
  const conditions = objectsAt(status, 'conditions');
  const before = conditions.find((one) => stringAt(one, 'type') === condition.type);
  const same = before !== undefined && stringAt(before, 'status') === condition.status;
  const lastTransitionTime = same ? (before.lastTransitionTime ?? now) : now;
  const next: JsonObject = {
    lastTransitionTime,
    message: condition.message,
    reason: condition.reason,
    status: condition.status,
    type: condition.type,
  };
  return { ...status, conditions: before === undefined ? [...conditions, next] : conditions.map((one) => (one === before ? next : one)) };
}
