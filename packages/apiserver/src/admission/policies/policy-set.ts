import {
  CelCompileError,
  CelCompiler,
  type KubeObject,
  type MatchCondition,
  type MatchResources,
  type ParamKind,
  type ParamRef,
  type Variable,
} from '@dure/api';
import type { ObjectReader } from '../../contract/object-reader.ts';
import { compiledConfiguration } from '../matching/compiled-configuration.ts';
import { type CompiledConditions, compileConditions } from '../matching/match-conditions.ts';
import { type CompiledMatch, compileMatch } from './policy-match.ts';
import { compileVariables, type PolicyVariables } from './policy-variables.ts';

/** What validating and mutating policies have in common. */
export interface PolicySpec {
  readonly paramKind?: ParamKind;
  readonly matchConstraints?: MatchResources;
  readonly matchConditions?: readonly MatchCondition[];
  readonly variables?: readonly Variable[];
  readonly failurePolicy?: 'Ignore' | 'Fail';
}

export interface BindingSpec {
  readonly policyName?: string;
  readonly paramRef?: ParamRef;
  readonly matchResources?: MatchResources;
}

export interface Binding<Spec extends BindingSpec> {
  readonly name: string;
  readonly spec: Spec;
  readonly match: CompiledMatch;
}

/** A policy that is bound at least once, ready to be asked. */
export interface Policy<Body, Spec extends BindingSpec> {
  readonly name: string;
  readonly failsOpen: boolean;
  readonly paramKind: ParamKind | undefined;
  readonly match: CompiledMatch;
  readonly bindings: readonly Binding<Spec>[];
  /** What it decides, or why that cannot be known. */
  readonly rules: { readonly conditions: CompiledConditions; readonly variables: PolicyVariables; readonly body: Body } | CelCompileError;
}

/** How a policy's own expressions are compiled. */
export interface PolicyCompiling {
  readonly compiler: CelCompiler;
  readonly variables: PolicyVariables;
  readonly params: boolean;
}

/** Bound policies by name, each with its bindings by name. @param compile Makes the body of one. */
export function policiesOf<Spec extends PolicySpec, Body, B extends BindingSpec>(
  reads: ObjectReader,
  resource: string,
  bindingResource: string,
  compile: (spec: Spec, compiling: PolicyCompiling) => Body,
  expressions: { readonly constructs?: boolean } = {},
): () => readonly Policy<Body, B>[] | Promise<readonly Policy<Body, B>[]> {
  return compiledConfiguration(reads, [resource, bindingResource], ([policies = [], bindings = []]) => {
    if (policies.length === 0 || bindings.length === 0) return [];
    const compiler = new CelCompiler(expressions);
    const byPolicy = new Map<string, Binding<B>[]>();
    for (const { metadata, spec } of bindings as readonly (KubeObject & { readonly spec: B })[]) {
      const bound = byPolicy.get(spec.policyName ?? '') ?? [];
      bound.push({ name: metadata.name, spec, match: compileMatch(spec.matchResources) });
      byPolicy.set(spec.policyName ?? '', bound);
    }
    return (policies as readonly (KubeObject & { readonly spec: Spec })[]).flatMap(({ metadata, spec }) => {
      const bound = byPolicy.get(metadata.name);
      if (bound === undefined) return [];
      const { failurePolicy, paramKind, matchConstraints } = spec;
      const rules = compiledRules(spec, compiler, compile);
      return [
        {
          name: metadata.name,
          failsOpen: failurePolicy === 'Ignore',
          paramKind,
          match: compileMatch(matchConstraints),
          bindings: bound,
          rules,
        },
      ];
    });
  });
}

function compiledRules<Spec extends PolicySpec, Body>(
  spec: Spec,
  compiler: CelCompiler,
  compile: (spec: Spec, compiling: PolicyCompiling) => Body,
): Policy<Body, BindingSpec>['rules'] {
  const params = spec.paramKind !== undefined;
  const scope = { params, authorizer: true };
  try {
    const variables = compileVariables(spec.variables ?? [], scope, compiler);
    return {
      conditions: compileConditions(spec.matchConditions ?? [], scope, compiler),
      variables,
      body: compile(spec, { compiler, variables, params }),
    };
  } catch (error) {
    if (error instanceof CelCompileError) return error;
    throw error;
  }
}
