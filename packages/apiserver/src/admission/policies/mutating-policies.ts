import {
  CelCompileError,
  DecodeError,
  equalJson,
  internalError,
  type JsonObject,
  type MutatingAdmissionPolicyBindingSpec,
  type MutatingAdmissionPolicySpec,
  notFound,
  StatusError,
  type StatusReason,
  untypedValue,
} from '@dure/api';
import { cloneObject } from '../../registry/conversion.ts';
import type { AdmissionPlugin, MutationRounds } from '../admission-chain.ts';
import { AuthorizerOracle } from '../matching/authorization-oracle.ts';
import { expressionInput } from '../matching/expression-input.ts';
import { MatchConditionsError } from '../matching/match-conditions.ts';
import { ReinvocationMemory } from '../matching/reinvocation.ts';
import { type Match, VersionedRequest } from '../matching/versioned-request.ts';
import { refusal } from '../refusal.ts';
import { compileMutations, MutationError, type MutationRules, mutated } from './mutation-rules.ts';
import { matchOfPolicy } from './policy-match.ts';
import { ParametersError, parametersOf } from './policy-parameters.ts';
import { type Policy, policiesOf } from './policy-set.ts';
import type { PolicyDeps } from './validating-policies.ts';

type MutatingPolicy = Policy<MutationRules, MutatingAdmissionPolicyBindingSpec>;

/** One policy with one binding and one parameter that concern the request. */
interface Invocation {
  readonly key: string;
  readonly policy: MutatingPolicy;
  readonly rules: Exclude<MutatingPolicy['rules'], CelCompileError>;
  readonly binding: string;
  readonly match: Match;
  readonly params: JsonObject | undefined;
}

/** Why a policy could not do its work; whether that refuses the request is its own to say. */
interface PolicyFault {
  readonly policy: MutatingPolicy;
  readonly binding: string | undefined;
  readonly message: string;
  /** Of the expressions themselves: as upstream, such faults are `Invalid`, those of the configuration `Forbidden`. */
  readonly reason: StatusReason;
}

/** Policies in expressions that change objects: each sees what those before it made. */
export function mutatingPolicies(deps: PolicyDeps): AdmissionPlugin {
  const policies = policiesOf<MutatingAdmissionPolicySpec, MutationRules, MutatingAdmissionPolicyBindingSpec>(
    deps.reads,
    'mutatingadmissionpolicies',
    'mutatingadmissionpolicybindings',
    compileMutations,
    { constructs: true },
  );
  const memories = new WeakMap<MutationRounds, ReinvocationMemory>();
  return {
    name: 'MutatingAdmissionPolicy',
    async mutate(request, signal, rounds) {
      const current = policies();
      const all = current instanceof Promise ? await current : current;
      // There is nothing to change in what is deleted.
      if (all.length === 0 || request.operation === 'DELETE' || VersionedRequest.isExemptFromPolicies(request)) return;
      const seen = new VersionedRequest(request, deps, signal);
      const { invocations, faults } = await plan(all, seen, deps, signal);
      if (invocations.length > 0) {
        const memory = memories.get(rounds) ?? new ReinvocationMemory();
        memories.set(rounds, memory);
        memory.begin(rounds, request.object);
        const oracle = new AuthorizerOracle(deps.authorizer, request.user, signal);
        for (const invocation of invocations) {
          const fault = await invoke(invocation, seen, oracle, deps, rounds, memory);
          if (fault !== undefined) faults.push(fault);
        }
        memory.end(request.object);
      }
      const [first, ...others] = faults.filter(({ policy }) => !policy.failsOpen);
      if (first !== undefined) throw refusalBy(seen, first, others);
    },
  };
}

/** Which policies with which parameters are to act, decided before any of them does. */
async function plan(
  all: readonly MutatingPolicy[],
  seen: VersionedRequest,
  deps: PolicyDeps,
  signal: AbortSignal,
): Promise<{ readonly invocations: readonly Invocation[]; readonly faults: PolicyFault[] }> {
  const invocations: Invocation[] = [];
  const faults: PolicyFault[] = [];
  for (const policy of all) {
    const match = await matchOfPolicy(policy.match, seen);
    if (match === undefined) continue;
    const { rules } = policy;
    if (rules instanceof CelCompileError) {
      const message = `failed to configure policy: compilation failed: ${rules.message}`;
      faults.push({ policy, binding: undefined, message, reason: 'Forbidden' });
      continue;
    }
    for (const { name: binding, spec, match: bound } of policy.bindings) {
      if ((await matchOfPolicy(bound, seen)) === undefined) continue;
      try {
        for (const params of await parametersOf(policy.paramKind, spec.paramRef, seen.namespace, deps, signal)) {
          const metadata = params?.metadata as JsonObject | undefined;
          const key = JSON.stringify([policy.name, binding, metadata?.namespace ?? '', metadata?.name ?? '']);
          invocations.push({ key, policy, rules, binding, match, params });
        }
      } catch (error) {
        if (!(error instanceof ParametersError)) throw error;
        faults.push({ policy, binding, message: `failed to configure binding: ${error.message}`, reason: 'Forbidden' });
      }
    }
  }
  return { invocations, faults };
}

/** Lets one policy act on the object. @throws {StatusError} The object cannot be what it was made. */
async function invoke(
  { key, policy, rules, binding, match, params }: Invocation,
  seen: VersionedRequest,
  oracle: AuthorizerOracle,
  { book }: PolicyDeps,
  rounds: MutationRounds,
  memory: ReinvocationMemory,
): Promise<PolicyFault | undefined> {
  const inputOf = async (): ReturnType<typeof expressionInput> => {
    const input = new Map(await expressionInput(seen, match, oracle, { namespace: true }));
    return input.set('params', params === undefined ? null : untypedValue(params));
  };
  if (seen.request.namespace !== '' && (await seen.namespaceObject()) === undefined)
    throw notFound({ group: '', resource: 'namespaces' }, seen.request.namespace);
  try {
    if (!(await rules.conditions.hold(await inputOf()))) return undefined;
    if (!memory.isWanted(rounds, key)) return undefined;
    const before = await seen.object(match);
    for (const mutation of rules.body.mutations) {
      const object = await seen.object(match);
      const schema = seen.schemaOf(match);
      if (object === undefined || schema === undefined) continue;
      const next = await mutated(mutation, rules.variables.extend(await inputOf()), cloneObject(object), schema, book);
      if (!equalJson(next, object)) await seen.replace(match, next);
    }
    memory.done(rounds, key, rules.body.reinvocable, !equalJson(before, await seen.object(match)));
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) throw internalError(error);
    if (!(error instanceof MutationError) && !(error instanceof MatchConditionsError)) throw error;
    return { policy, binding, message: error.message, reason: 'Invalid' };
  }
}

function refusalBy(seen: VersionedRequest, first: PolicyFault, others: readonly PolicyFault[]): StatusError {
  const { status } = refusal(seen.request, '');
  const causes = [first, ...others].map((fault) => ({ message: shownFault(fault) }));
  return new StatusError({
    ...status,
    message: shownFault(first),
    reason: first.reason,
    details: { ...status.details, causes },
  });
}

function shownFault({ policy: { name }, binding, message }: PolicyFault): string {
  return binding === undefined
    ? `policy ${JSON.stringify(name)} denied request: ${message}`
    : `policy '${name}' with binding '${binding}' denied request: ${message}`;
}
