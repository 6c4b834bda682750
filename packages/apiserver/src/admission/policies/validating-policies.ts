import {
  CelCompileError,
  type JsonObject,
  StatusError,
  type StatusReason,
  untypedValue,
  type ValidatingAdmissionPolicyBindingSpec,
  type ValidatingAdmissionPolicySpec,
} from '@dure/api';
import type { AdmissionRequest } from '../../contract/admission.ts';
import type { Authorizer } from '../../contract/authorizer.ts';
import type { AdmissionPlugin } from '../admission-chain.ts';
import { AuthorizerOracle } from '../matching/authorization-oracle.ts';
import { expressionInput } from '../matching/expression-input.ts';
import { MatchConditionsError } from '../matching/match-conditions.ts';
import { type Match, VersionedRequest, type VersionedRequestDeps } from '../matching/versioned-request.ts';
import { refusal } from '../refusal.ts';
import { matchOfPolicy } from './policy-match.ts';
import { ParametersError, parametersOf } from './policy-parameters.ts';
import { type Binding, type Policy, policiesOf } from './policy-set.ts';
import { compileValidations, type Findings, findingsOf, type ValidationRules } from './validation-rules.ts';

export interface PolicyDeps extends VersionedRequestDeps {
  readonly authorizer: Authorizer;
}

type ValidatingPolicy = Policy<ValidationRules, ValidatingAdmissionPolicyBindingSpec>;
type ValidatingBinding = Binding<ValidatingAdmissionPolicyBindingSpec>;

/** One reason to refuse the request. */
interface Denial {
  readonly policy: string;
  readonly binding: string | undefined;
  readonly message: string;
  readonly reason: string;
}

const CODES: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, RequestEntityTooLarge: 413, Invalid: 422 };
const ANNOTATION_LENGTH_MAX = 10 * 1024;
const FAILURE_ANNOTATION = 'validation.policy.admission.k8s.io/validation_failure';

/** Policies in expressions that may refuse a request, warn its client, or note in the audit log that it breaks a rule. */
export function validatingPolicies(deps: PolicyDeps): AdmissionPlugin {
  const policies = policiesOf<ValidatingAdmissionPolicySpec, ValidationRules, ValidatingAdmissionPolicyBindingSpec>(
    deps.reads,
    'validatingadmissionpolicies',
    'validatingadmissionpolicybindings',
    compileValidations,
  );
  return {
    name: 'ValidatingAdmissionPolicy',
    async validate(request, signal) {
      const current = policies();
      const all = current instanceof Promise ? await current : current;
      if (all.length === 0 || VersionedRequest.isExemptFromPolicies(request)) return;
      const seen = new VersionedRequest(request, deps, signal);
      const oracle = new AuthorizerOracle(deps.authorizer, request.user, signal);
      const denials: Denial[] = [];
      for (const policy of all) denials.push(...(await denialsOf(policy, seen, oracle, deps, signal)));
      const [first] = denials;
      if (first !== undefined) throw refusalBy(request, first);
    },
  };
}

async function denialsOf(
  policy: ValidatingPolicy,
  seen: VersionedRequest,
  oracle: AuthorizerOracle,
  deps: PolicyDeps,
  signal: AbortSignal,
): Promise<readonly Denial[]> {
  const { name, failsOpen, rules, bindings, paramKind } = policy;
  const match = await matchOfPolicy(policy.match, seen);
  if (match === undefined) return [];
  const misconfigured = (what: string, why: string, binding?: string): Denial[] =>
    failsOpen ? [] : [{ policy: name, binding, message: `failed to configure ${what}: ${why}`, reason: 'Invalid' }];
  if (rules instanceof CelCompileError) return misconfigured('policy', `compilation failed: ${rules.message}`);
  const denials: Denial[] = [];
  const notes = new Map<string, Set<string>>();
  for (const binding of bindings) {
    if ((await matchOfPolicy(binding.match, seen)) === undefined) continue;
    try {
      for (const params of await parametersOf(paramKind, binding.spec.paramRef, seen.namespace, deps, signal)) {
        const findings = await evaluate(rules, seen, match, oracle, params);
        if (findings === undefined) continue;
        denials.push(...consequences(policy, binding, findings, seen.request));
        for (const { key, value } of findings.annotations)
          notes.set(key, (notes.get(key) ?? new Set()).add(value.slice(0, ANNOTATION_LENGTH_MAX)));
      }
    } catch (error) {
      if (!(error instanceof ParametersError)) throw error;
      denials.push(...misconfigured('binding', error.message, binding.name));
    }
  }
  for (const [key, values] of notes) seen.request.annotate(`${name}/${key}`, [...values].join(', '));
  return denials;
}

/** What the rules find; `undefined` where the match conditions say that the request is none of their business. */
async function evaluate(
  { conditions, variables, body }: Exclude<ValidatingPolicy['rules'], CelCompileError>,
  seen: VersionedRequest,
  match: Match,
  oracle: AuthorizerOracle,
  params: JsonObject | undefined,
): Promise<Findings | undefined> {
  const input = new Map(await expressionInput(seen, match, oracle, { namespace: true }));
  input.set('params', params === undefined ? null : untypedValue(params));
  try {
    if (!(await conditions.hold(input))) return undefined;
  } catch (error) {
    if (!(error instanceof MatchConditionsError)) throw error;
    return { failures: [{ index: -1, message: error.message, reason: 'Invalid', isError: true }], annotations: [], annotationErrors: [] };
  }
  return findingsOf(body, variables.extend(input));
}

/** Warns and notes as the binding wants it. What is left refuses the request. */
function consequences(
  { name, failsOpen }: ValidatingPolicy,
  binding: ValidatingBinding,
  findings: Findings,
  request: AdmissionRequest,
): Denial[] {
  const denials: Denial[] = [];
  const { validationActions } = binding.spec;
  for (const { index, message, reason, isError } of findings.failures) {
    if (isError && failsOpen) continue;
    for (const action of validationActions) {
      switch (action) {
        case 'Deny':
          denials.push({ policy: name, binding: binding.name, message, reason });
          break;
        case 'Warn':
          request.warn(`Validation failed for ValidatingAdmissionPolicy '${name}' with binding '${binding.name}': ${message}`);
          break;
        case 'Audit': {
          const failure = { message, policy: name, binding: binding.name, expressionIndex: Math.max(index, 0), validationActions };
          request.annotate(FAILURE_ANNOTATION, JSON.stringify([failure]));
          break;
        }
        default:
          action satisfies never;
      }
    }
  }
  if (!failsOpen)
    for (const message of findings.annotationErrors) denials.push({ policy: name, binding: binding.name, message, reason: 'Invalid' });
  return denials;
}

function refusalBy(request: AdmissionRequest, { policy, binding, message: why, reason }: Denial): StatusError {
  const where = binding === undefined ? '' : ` with binding '${binding}'`;
  const message = `ValidatingAdmissionPolicy '${policy}'${where} denied request: ${why}`;
  const { status } = refusal(request, message);
  return new StatusError({
    ...status,
    reason: reason as StatusReason,
    code: CODES[reason] ?? 422,
    details: { ...status.details, causes: [{ message }] },
  });
}
