import type { AdmissionPlugin } from '../admission-chain.ts';
import { type Match, VersionedRequest } from '../matching/versioned-request.ts';
import { refusalBy } from './admission-review.ts';
import { callWebhook, matchOfWebhook, type WebhookCallerDeps } from './webhook-caller.ts';
import { type Webhook, webhooksOf } from './webhook-hooks.ts';

/** Webhooks that may only say no; all that are concerned are asked at the same time, and the first of them in order that refuses is heard. */
export function validatingWebhooks(deps: WebhookCallerDeps): AdmissionPlugin {
  const webhooks = webhooksOf(deps.reads, 'validatingwebhookconfigurations');
  return {
    name: 'ValidatingAdmissionWebhook',
    async validate(request, signal) {
      const current = webhooks();
      const all = current instanceof Promise ? await current : current;
      if (all.length === 0 || VersionedRequest.isExempt(request)) return;
      const seen = new VersionedRequest(request, deps, signal);
      const concerned: { readonly webhook: Webhook; readonly match: Match; readonly index: number }[] = [];
      for (const [index, webhook] of all.entries()) {
        const match = await matchOfWebhook(webhook, seen, deps, signal);
        if (match !== undefined) concerned.push({ webhook, match, index });
      }
      const outcomes = await Promise.allSettled(
        concerned.map(async ({ webhook, match, index }) => {
          const verdict = await callWebhook(webhook, seen, match, false, deps, signal);
          if (verdict === undefined)
            request.annotate(`failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`, webhook.name);
          else if (!verdict.allowed) throw refusalBy(webhook.name, verdict.status);
        }),
      );
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    },
  };
}
