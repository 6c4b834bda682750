import type { AdmissionPlugin } from './admission-chain.ts';
import { mutatingPolicies } from './policies/mutating-policies.ts';
import { validatingPolicies } from './policies/validating-policies.ts';
import { mutatingWebhooks } from './webhooks/mutating-webhooks.ts';
import { validatingWebhooks } from './webhooks/validating-webhooks.ts';
import type { WebhookCallerDeps } from './webhooks/webhook-caller.ts';

/** Admission as objects of the API configure it, in upstream's order: after the server's own controllers, before quota. */
export function configuredAdmission(deps: WebhookCallerDeps): readonly AdmissionPlugin[] {
  return [mutatingPolicies(deps), mutatingWebhooks(deps), validatingPolicies(deps), validatingWebhooks(deps)];
}
