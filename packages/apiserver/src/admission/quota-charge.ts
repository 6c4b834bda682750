import {
  type Amounts,
  addAmounts,
  amountsOf,
  compareQuantities,
  inScopes,
  type JsonObject,
  type KubeObject,
  objectAt,
  pickAmounts,
  printAmounts,
  type QuotaEvaluator,
  quotaScopes,
  subtractAmounts,
} from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import { refusal } from './refusal.ts';

/** What a quota allows and what is used of it, by its status: a limit that nobody has counted against yet does not hold. */
export interface QuotaAccount {
  readonly quota: KubeObject;
  readonly hard: Amounts;
  readonly used: Amounts;
}

/** A create or update that may use more than before. */
export interface Charge {
  readonly request: AdmissionRequest & { readonly object: JsonObject };
  readonly evaluator: QuotaEvaluator;
}

export function quotaAccount(quota: KubeObject): QuotaAccount {
  const object = quota as unknown as JsonObject;
  return { quota, hard: amountsOf(objectAt(object, 'status', 'hard')), used: amountsOf(objectAt(object, 'status', 'used')) };
}

/** What is used of `account` once the write has happened. Pure. @throws {StatusError} Forbidden: it would be too much, or cannot be told. */
export function chargedUsage(account: QuotaAccount, { request, evaluator }: Charge, nowMs: number): Amounts {
  const { quota, hard, used } = account;
  const { name } = quota.metadata;
  const scopes = quotaScopes(quota as unknown as JsonObject);
  const names = [...hard.keys()].filter((limited) => evaluator.counts(limited));
  if (names.length === 0 || !inScopes(evaluator, request.object, scopes)) return used;

  const omission = evaluator.omission?.(request.object, names);
  if (omission !== undefined) throw refusal(request, `failed quota: ${name}: ${omission}`);
  if (names.some((limited) => !used.has(limited))) {
    throw refusal(request, `status unknown for quota: ${name}, resources: ${names.toSorted().join(',')}`);
  }
  const usage = evaluator.usage(request.object, nowMs);
  const negative = [...usage].filter(([, { nanos }]) => nanos < 0n).map(([limited]) => limited);
  if (negative.length > 0) throw refusal(request, `quota usage is negative for resource(s): ${negative.sort().join(',')}`);

  const old = request.oldObject as unknown as JsonObject | undefined;
  const added = old !== undefined && inScopes(evaluator, old, scopes) ? subtractAmounts(usage, evaluator.usage(old, nowMs)) : usage;
  const asked = pickAmounts(added, (limited) => hard.has(limited) && added.get(limited)?.nanos !== 0n);
  if (asked.size === 0) return used;
  const next = addAmounts(used, asked);
  const isOver = (limited: string): boolean => {
    const [amount, limit] = [next.get(limited), hard.get(limited)];
    return asked.has(limited) && amount !== undefined && limit !== undefined && compareQuantities(amount, limit) > 0;
  };
  if (request.subresource === 'status' || ![...asked.keys()].some(isOver)) return next;
  const [requested, before, limits] = [asked, used, hard].map((amounts) => printAmounts(pickAmounts(amounts, isOver)));
  throw refusal(request, `exceeded quota: ${name}, requested: ${requested}, used: ${before}, limited: ${limits}`);
}
