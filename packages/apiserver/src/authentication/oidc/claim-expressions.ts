import {
  BOOL,
  Budget,
  CelBudgetError,
  CelCompileError,
  type CelCompiler,
  CelEvaluationError,
  CelMap,
  type CelType,
  type CelValue,
  DYN,
  type Expression,
  type Json,
  listOf,
  mapOf,
  OBJECT_COST_MAX,
  SchemaValues,
  STRING,
} from '@dure/api';
import type { FileFaults } from '../../config-files/config-file.ts';
import type { UserInfo } from '../../contract/user.ts';

const USER: CelType = {
  kind: 'object',
  name: 'kubernetes.UserInfo',
  fields: new Map<string, CelType>([
    ['username', STRING],
    ['uid', STRING],
    ['groups', listOf(STRING)],
    ['extra', mapOf(STRING, listOf(STRING))],
  ]),
};
const CLAIMS = { name: 'claims', type: mapOf(STRING, DYN) };
const OF_USER = { name: 'user', type: USER };

/** An expression over a token's claims. @param faults Gets what is wrong with it. */
export function compileClaims(
  text: string,
  path: string,
  compiler: CelCompiler,
  faults: FileFaults,
  result: 'any' | 'bool',
): Expression | undefined {
  return compile(text, path, compiler, faults, CLAIMS, result);
}

/** A condition on the user that the claims came to. */
export function compileUser(text: string, path: string, compiler: CelCompiler, faults: FileFaults): Expression | undefined {
  return compile(text, path, compiler, faults, OF_USER, 'bool');
}

function compile(
  text: string,
  path: string,
  compiler: CelCompiler,
  faults: FileFaults,
  variable: typeof CLAIMS,
  result: 'any' | 'bool',
): Expression | undefined {
  try {
    const compiled = compiler.compile(text, [variable]);
    if (result === 'bool' && compiled.type.kind !== BOOL.kind && compiled.type.kind !== DYN.kind) {
      faults.add(path, `Invalid value: ${JSON.stringify(text)}: must evaluate to bool`);
    }
    return compiled;
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    faults.add(path, `Invalid value: ${JSON.stringify(text)}: compilation failed: ${error.message}`);
    return undefined;
  }
}

/** One token's evaluations, within one budget. */
export class ClaimEvaluation {
  readonly #budget = new Budget(OBJECT_COST_MAX);
  readonly #claims: CelValue;

  constructor(claims: Readonly<Record<string, unknown>>) {
    this.#claims = new SchemaValues().of(claims as Json, undefined);
  }

  /** @throws {Error} It came to no value. */
  claims(expression: Expression, path: string): CelValue {
    return this.#evaluate(expression, this.#claims, path);
  }

  /** @throws {Error} It came to no value. */
  user(expression: Expression, { name, uid = '', groups, extra = {} }: UserInfo, path: string): CelValue {
    const value = new CelMap(
      new Map<string, CelValue>([
        ['username', name],
        ['uid', uid],
        ['groups', [...groups]],
        ['extra', new CelMap(new Map(Object.entries(extra).map(([key, values]) => [key, [...values]])))],
      ]),
    );
    return this.#evaluate(expression, value, path);
  }

  #evaluate(expression: Expression, value: CelValue, path: string): CelValue {
    try {
      return expression.evaluate([value], this.#budget);
    } catch (cause) {
      if (cause instanceof CelEvaluationError || cause instanceof CelBudgetError)
        throw new Error(`oidc: error evaluating ${path}: ${cause.message}`, { cause });
      throw cause;
    }
  }
}
