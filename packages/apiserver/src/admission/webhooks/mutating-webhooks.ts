import { DecodeError, equalJson, internalError, isJsonObject, StatusError } from '@dure/api';
import { cloneObject } from '../../registry/conversion.ts';
import { applyJsonPatch } from '../../registry/patch.ts';
import type { AdmissionPlugin, MutationRounds } from '../admission-chain.ts';
import { ReinvocationMemory } from '../matching/reinvocation.ts';
import { type Match, VersionedRequest } from '../matching/versioned-request.ts';
import { refusalBy } from './admission-review.ts';
import { callWebhook, matchOfWebhook, type WebhookCallerDeps } from './webhook-caller.ts';
import { type Webhook, webhooksOf } from './webhook-hooks.ts';

/** Webhooks that may change the object, one after another: each sees what those before it made. */
export function mutatingWebhooks(deps: WebhookCallerDeps): AdmissionPlugin {
  const webhooks = webhooksOf(deps.reads, 'mutatingwebhookconfigurations');
  const memories = new WeakMap<MutationRounds, ReinvocationMemory>();
  return {
    name: 'MutatingAdmissionWebhook',
    async mutate(request, signal, rounds) {
      const current = webhooks();
      const all = current instanceof Promise ? await current : current;
      if (all.length === 0 || VersionedRequest.isExempt(request)) return;
      const seen = new VersionedRequest(request, deps, signal);
      const memory = memories.get(rounds) ?? new ReinvocationMemory();
      memories.set(rounds, memory);
      memory.begin(rounds, request.object);
      for (const [index, webhook] of all.entries()) {
        if (!memory.isWanted(rounds, webhook.key)) continue;
        // Asked one by one: what an earlier one changed may decide whether the next is meant.
        const match = await matchOfWebhook(webhook, seen, deps, signal);
        if (match === undefined) continue;
        const changed = await callMutating(webhook, seen, match, deps, signal, `round_${rounds.isReinvocation ? 1 : 0}_index_${index}`);
        memory.done(rounds, webhook.key, webhook.reinvocable, changed);
      }
      memory.end(request.object);
    },
  };
}

/** True where the object is another one now. @throws {StatusError} */
async function callMutating(
  webhook: Webhook,
  seen: VersionedRequest,
  match: Match,
  deps: WebhookCallerDeps,
  signal: AbortSignal,
  place: string,
): Promise<boolean> {
  const { name, configuration } = webhook;
  const verdict = await callWebhook(webhook, seen, match, true, deps, signal);
  const { request } = seen;
  if (verdict === undefined) {
    request.annotate(`failed-open.mutation.webhook.admission.k8s.io/${place}`, name);
    return false;
  }
  let changed = false;
  if (verdict.allowed && verdict.patch !== undefined) changed = await applyPatch(webhook, seen, match, verdict.patch);
  request.annotate(`mutation.webhook.admission.k8s.io/${place}`, JSON.stringify({ configuration, webhook: name, mutated: changed }));
  if (!verdict.allowed) throw refusalBy(name, verdict.status);
  return changed;
}

async function applyPatch({ name }: Webhook, seen: VersionedRequest, match: Match, patch: unknown): Promise<boolean> {
  if (Array.isArray(patch) && patch.length === 0) return false;
  const object = await seen.object(match);
  if (object === undefined) {
    throw internalError(
      new Error(`admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`),
    );
  }
  let changed: unknown;
  try {
    changed = applyJsonPatch(patch, cloneObject(object));
    if (!isJsonObject(changed)) throw new Error('the patch leaves no object');
    if (equalJson(changed, object)) return false;
    await seen.replace(match, changed);
  } catch (error) {
    if (error instanceof StatusError || error instanceof DecodeError || error instanceof Error) throw internalError(error);
    throw error;
  }
  return true;
}
