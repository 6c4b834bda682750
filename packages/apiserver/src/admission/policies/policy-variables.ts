import {
  type AdmissionExpression,
  type AdmissionInput,
  type AdmissionScope,
  admissionExpression,
  type CelCompiler,
  type CelValue,
  type CelVariable,
  Deferred,
  type Variable,
} from '@dure/api';

/** The variables that a policy defines for its own expressions, each of which may use those before it. */
export interface PolicyVariables {
  readonly declared: readonly CelVariable[];
  /** `input` with the variables, which are evaluated when they are read. */
  extend(input: AdmissionInput): AdmissionInput;
}

/** @throws {CelCompileError} */
export function compileVariables(variables: readonly Variable[], scope: AdmissionScope, compiler: CelCompiler): PolicyVariables {
  const declared: CelVariable[] = [];
  const compiled: { readonly name: string; readonly expression: AdmissionExpression }[] = [];
  for (const { name: shortName, expression: text } of variables) {
    const name = `variables.${shortName}`;
    const expression = admissionExpression(compiler, text, { ...scope, variables: [...declared] });
    compiled.push({ name, expression });
    declared.push({ name, type: expression.type });
  }
  return {
    declared,
    extend(input) {
      if (compiled.length === 0) return input;
      const extended = new Map<string, CelValue | Deferred>(input);
      for (const { name, expression } of compiled) extended.set(name, new Deferred((budget) => expression.evaluate(extended, budget)));
      return extended;
    },
  };
}
