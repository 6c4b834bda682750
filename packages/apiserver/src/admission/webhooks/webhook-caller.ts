import { badRequest, CelCompileError, internalError, timeout as timeoutStatus } from '@dure/api';
import { type Logger, type Random, uuid } from '@dure/foundation';
import { WebhookCallError, type WebhookClient } from '../../connect/webhook-client.ts';
import type { Authorizer } from '../../contract/authorizer.ts';
import { AuthorizerOracle } from '../matching/authorization-oracle.ts';
import { expressionInput } from '../matching/expression-input.ts';
import { MatchConditionsError } from '../matching/match-conditions.ts';
import { selectorsMatch } from '../matching/selector-match.ts';
import type { Match, VersionedRequest, VersionedRequestDeps } from '../matching/versioned-request.ts';
import { refusal } from '../refusal.ts';
import { admissionReview, InvalidReviewError, parseVerdict, type Verdict } from './admission-review.ts';
import type { Webhook } from './webhook-hooks.ts';

export interface WebhookCallerDeps extends VersionedRequestDeps {
  readonly authorizer: Authorizer;
  readonly client: WebhookClient;
  readonly random: Random;
  readonly log: Logger;
}

/** Whether `webhook` is to be asked about the request, and how it wants to see it. @throws {StatusError} */
export async function matchOfWebhook(
  webhook: Webhook,
  seen: VersionedRequest,
  { authorizer, log }: WebhookCallerDeps,
  signal: AbortSignal,
): Promise<Match | undefined> {
  const match = seen.matchOf(webhook.rules, webhook.matchPolicy);
  if (match === undefined || !(await selectorsMatch(webhook.selectors, seen, match))) return undefined;
  const { conditions } = webhook;
  if (!(conditions instanceof CelCompileError) && conditions.isEmpty) return match;
  try {
    if (conditions instanceof CelCompileError) throw new MatchConditionsError(`compilation failed: ${conditions.message}`);
    const input = await expressionInput(seen, match, new AuthorizerOracle(authorizer, seen.request.user, signal), { namespace: false });
    return (await conditions.hold(input)) ? match : undefined;
  } catch (error) {
    if (!(error instanceof MatchConditionsError)) throw error;
    log.warn('match conditions of a webhook failed', { webhook: webhook.name, failsOpen: webhook.failsOpen, error });
    if (webhook.failsOpen) return undefined;
    throw refusal(seen.request, error.message);
  }
}

/**
 * Asks one webhook. `undefined`: it could not be asked, and its failure policy lets that pass.
 * @throws {StatusError} InternalError: it could not be asked, and that must not pass. BadRequest: a dry run that it cannot take part in.
 */
export async function callWebhook(
  webhook: Webhook,
  seen: VersionedRequest,
  match: Match,
  mutating: boolean,
  { client, random, log }: WebhookCallerDeps,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  const { name, reviewVersion, target, timeoutMs } = webhook;
  try {
    if (seen.request.dryRun && !webhook.runsOnDryRun)
      throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
    if (reviewVersion === undefined)
      throw failure(name, 'could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)');
    const uid = uuid(random);
    const review = await admissionReview(seen, match, reviewVersion, uid);
    const answer = await client.call(target, review, { timeoutMs, signal }).catch((error: unknown) => {
      if (!(error instanceof WebhookCallError)) throw error;
      throw failure(name, `failed to call webhook: ${error.message}`, error);
    });
    const verdict = parseVerdict(answer, reviewVersion, uid, mutating);
    publish(webhook, seen, verdict);
    return verdict;
  } catch (error) {
    const failed =
      error instanceof InvalidReviewError ? failure(name, `received invalid webhook response: ${error.message}`, error) : error;
    if (!(failed instanceof WebhookFailure)) throw failed;
    log.warn('calling a webhook failed', { webhook: name, failsOpen: webhook.failsOpen, error: failed });
    if (!webhook.failsOpen) throw internalError(failed);
    if (signal.aborted) throw timeoutStatus('request did not complete within requested timeout');
    return undefined;
  }
}

class WebhookFailure extends Error {
  override readonly name = 'WebhookFailure';
  readonly code = 'WEBHOOK_FAILURE';
}

function failure(name: string, why: string, cause?: unknown): WebhookFailure {
  return new WebhookFailure(`failed calling webhook ${JSON.stringify(name)}: ${why}`, cause === undefined ? {} : { cause });
}

function publish({ name }: Webhook, { request }: VersionedRequest, { auditAnnotations, warnings }: Verdict): void {
  for (const [key, value] of Object.entries(auditAnnotations)) request.annotate(`${name}/${key}`, value);
  for (const warning of warnings) request.warn(warning);
}
