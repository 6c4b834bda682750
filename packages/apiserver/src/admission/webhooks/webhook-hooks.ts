import {
  CelCompileError,
  CelCompiler,
  type KubeObject,
  type LabelSelectorObject,
  type MutatingWebhook,
  type ValidatingWebhook,
} from '@dure/api';
import type { WebhookTarget } from '../../connect/webhook-client.ts';
import type { ObjectReader } from '../../contract/object-reader.ts';
import { compiledConfiguration } from '../matching/compiled-configuration.ts';
import { type CompiledConditions, compileConditions } from '../matching/match-conditions.ts';
import { type CompiledRules, compileRules } from '../matching/resource-rules.ts';
import { type CompiledSelectors, compileSelectors } from '../matching/selector-match.ts';

/** One webhook of one configuration, ready to be asked. */
export interface Webhook {
  /** Names it within all configurations, also where two have webhooks of one name. */
  readonly key: string;
  readonly configuration: string;
  readonly name: string;
  readonly rules: CompiledRules;
  readonly matchPolicy: 'Exact' | 'Equivalent';
  readonly selectors: CompiledSelectors;
  /** What makes every request fail to match or not, where stored conditions cannot be compiled. */
  readonly conditions: CompiledConditions | CelCompileError;
  readonly target: WebhookTarget;
  readonly failsOpen: boolean;
  readonly timeoutMs: number;
  /** The newest that both sides know; `undefined`: there is none. */
  readonly reviewVersion: 'v1' | 'v1beta1' | undefined;
  readonly runsOnDryRun: boolean;
  readonly reinvocable: boolean;
}

interface ConfigurationShape extends KubeObject {
  readonly webhooks?: readonly (MutatingWebhook | ValidatingWebhook)[];
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** All webhooks of a kind of configuration: configurations by name, their webhooks as they stand there. */
export function webhooksOf(
  reads: ObjectReader,
  resource: 'mutatingwebhookconfigurations' | 'validatingwebhookconfigurations',
): () => readonly Webhook[] | Promise<readonly Webhook[]> {
  return compiledConfiguration(reads, [resource], ([configurations = []]) => {
    let compiler: CelCompiler | undefined;
    return (configurations as readonly ConfigurationShape[]).flatMap(({ metadata, webhooks = [] }) => {
      const counts = new Map<string, number>();
      return webhooks.map((webhook) => {
        const count = counts.get(webhook.name) ?? 0;
        counts.set(webhook.name, count + 1);
        // Most have no conditions, and a compiler is dear.
        if ((webhook.matchConditions ?? []).length > 0) compiler ??= new CelCompiler();
        return compileWebhook(webhook, metadata.name, `${metadata.name}/${webhook.name}/${count}`, compiler);
      });
    });
  });
}

function compileWebhook(
  webhook: MutatingWebhook | ValidatingWebhook,
  configuration: string,
  key: string,
  compiler: CelCompiler | undefined,
): Webhook {
  const { name, clientConfig, timeoutSeconds, admissionReviewVersions, failurePolicy, matchPolicy, sideEffects } = webhook;
  return {
    key,
    configuration,
    name,
    rules: compileRules(webhook.rules ?? []),
    matchPolicy: matchPolicy ?? 'Equivalent',
    selectors: compileSelectors(
      webhook.namespaceSelector as LabelSelectorObject | undefined,
      webhook.objectSelector as LabelSelectorObject | undefined,
    ),
    conditions: conditionsOf(webhook, compiler),
    target: clientConfig,
    failsOpen: failurePolicy === 'Ignore',
    timeoutMs: timeoutSeconds === undefined ? DEFAULT_TIMEOUT_MS : timeoutSeconds * 1000,
    reviewVersion: admissionReviewVersions.find((version): version is 'v1' | 'v1beta1' => version === 'v1' || version === 'v1beta1'),
    runsOnDryRun: sideEffects === 'None' || sideEffects === 'NoneOnDryRun',
    reinvocable: 'reinvocationPolicy' in webhook && webhook.reinvocationPolicy === 'IfNeeded',
  };
}

function conditionsOf(
  { matchConditions = [] }: MutatingWebhook | ValidatingWebhook,
  compiler: CelCompiler | undefined,
): CompiledConditions | CelCompileError {
  if (compiler === undefined || matchConditions.length === 0) return { isEmpty: true, hold: async () => true };
  try {
    return compileConditions(matchConditions, { params: false, authorizer: true }, compiler);
  } catch (error) {
    if (error instanceof CelCompileError) return error;
    throw error;
  }
}
