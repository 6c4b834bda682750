import {
  ADMISSION_COST_MAX,
  type AdmissionExpression,
  type AdmissionInput,
  admissionExpression,
  Budget,
  CelBudgetError,
  CelEvaluationError,
  type CelValue,
  isJsonObject,
  type JsonObject,
  jsonOfValue,
  type MutatingAdmissionPolicySpec,
  type SchemaBook,
  type SchemaNode,
  StatusError,
  TypedSchema,
  typeNameFault,
} from '@dure/api';
import { applyJsonPatch } from '../../registry/patch.ts';
import { evaluated } from '../matching/authorization-oracle.ts';
import { failureOf } from '../matching/match-conditions.ts';
import type { PolicyCompiling } from './policy-set.ts';

/** What a mutating policy does to an object, step by step. */
export interface MutationRules {
  readonly reinvocable: boolean;
  readonly mutations: readonly { readonly form: 'apply' | 'patch'; readonly expression: AdmissionExpression }[];
}

/** A mutation could not be made. Its message is shown to the user. */
export class MutationError extends Error {
  override readonly name = 'MutationError';
  readonly code = 'POLICY_MUTATION';
}

/** @throws {CelCompileError} */
export function compileMutations(spec: MutatingAdmissionPolicySpec, { compiler, variables, params }: PolicyCompiling): MutationRules {
  const scope = { params, authorizer: true, variables: variables.declared };
  return {
    reinvocable: spec.reinvocationPolicy === 'IfNeeded',
    mutations: (spec.mutations ?? []).map(({ patchType, applyConfiguration, jsonPatch }) => ({
      form: patchType === 'JSONPatch' ? 'patch' : 'apply',
      expression: admissionExpression(
        compiler,
        ((patchType === 'JSONPatch' ? jsonPatch : applyConfiguration)?.expression ?? '').trim(),
        scope,
      ),
    })),
  };
}

/** `object` after one mutation; it may be changed. @throws {MutationError} */
export async function mutated(
  { form, expression }: MutationRules['mutations'][number],
  input: AdmissionInput,
  object: JsonObject,
  schema: SchemaNode,
  book: SchemaBook,
): Promise<JsonObject> {
  const budget = new Budget(ADMISSION_COST_MAX);
  try {
    const value = await evaluated(() => expression.evaluate(input, budget));
    return form === 'apply' ? applied(value, object, schema, book) : patched(value, object);
  } catch (error) {
    if (error instanceof CelEvaluationError || error instanceof CelBudgetError)
      throw new MutationError(failureOf(expression, error, budget));
    throw error;
  }
}

/** Lays what was built over the object, as server-side apply would, without owning anything. */
function applied(value: CelValue, object: JsonObject, schema: SchemaNode, book: SchemaBook): JsonObject {
  const fault = typeNameFault(value);
  if (fault !== undefined) throw new MutationError(`type mismatch: ${fault}`);
  const built = jsonOfValue(value);
  if (!isJsonObject(built)) throw new MutationError('unsupported return type from ApplyConfiguration expression');
  const typed = new TypedSchema(schema, book);
  const [unknown] = typed.undeclaredIn(built);
  if (unknown !== undefined) {
    throw new MutationError(
      `error applying patch: failed to convert patch object to typed object: ${unknown}: field not declared in schema`,
    );
  }
  const atomics = typed.atomicsIn(built);
  if (atomics.length > 0) {
    throw new MutationError(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(', ')}`,
    );
  }
  try {
    return typed.merge(object, built);
  } catch (error) {
    throw new MutationError(`error applying patch: failed to merge patch: ${(error as Error).message}`, { cause: error });
  }
}

function patched(value: CelValue, object: JsonObject): JsonObject {
  if (!Array.isArray(value)) throw new MutationError('type mismatch: JSONPatchType.expression should evaluate to array');
  const operations = (value as readonly CelValue[]).map((operation) => {
    const built = jsonOfValue(operation);
    if (!isJsonObject(built)) throw new MutationError('type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch');
    const { value: held } = built;
    const fault = isJsonObject(held) ? typeNameFault(valueField(operation)) : undefined;
    if (fault !== undefined) throw new MutationError(`type mismatch: ${fault}`);
    return built;
  });
  let result = structuredClone(object);
  for (const operation of operations) {
    try {
      const next = applyJsonPatch([operation], result);
      if (!isJsonObject(next)) throw new MutationError('JSONPath: the patch leaves no object');
      result = next;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      // An object that does not pass a test is left as it was, wholly.
      if (operation.op === 'test') return object;
      throw new MutationError(`JSONPath: ${error.message}`, { cause: error });
    }
  }
  return result;
}

function valueField(operation: CelValue): CelValue {
  return (operation as { readonly entries: ReadonlyMap<unknown, CelValue> }).entries.get('value') ?? null;
}
