/**
 * Expressions of admission: match conditions of webhooks, and what policies say. All see the same variables; what each of them may
 * use besides is said when it is compiled.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { AUTHORIZER, RESOURCE_CHECK } from './authorizer-functions.ts';
import type { Budget } from './budget.ts';
import { BOOL, type CelType, DYN, listOf, mapOf, STRING } from './cel-type.ts';
import type { CelValue } from './cel-value.ts';
import type { CelCompiler, Deferred, Variable } from './expression.ts';
import { SchemaValues, typeOfNode } from './schema-values.ts';

/** Values of the variables by name; those that an expression does not use may be absent. */
export type AdmissionInput = ReadonlyMap<string, CelValue | Deferred>;

export interface AdmissionExpression {
  readonly text: string;
  readonly type: CelType;
  /** @throws {CelEvaluationError} @throws {CelBudgetError} @throws {PendingAnswerError} Evaluate again once it is ready. */
  evaluate(input: AdmissionInput, budget: Budget): CelValue;
}

/** What an expression may use beyond `object`, `oldObject`, `request` and `namespaceObject`. */
export interface AdmissionScope {
  readonly params: boolean;
  readonly authorizer: boolean;
  /** `variables.NAME`, as compiled so far. */
  readonly variables?: readonly Variable[];
  /** For type checking: what `object`, `oldObject` and `params` are. Default: anything. */
  readonly objectType?: CelType;
  readonly paramsType?: CelType;
}

/** Upstream's bounds: of all expressions of one policy for one request, and of the match conditions of one webhook or policy. */
export const ADMISSION_COST_MAX = 10_000_000;
export const MATCH_CONDITIONS_COST_MAX = 2_500_000;

const structure = (name: string, fields: Readonly<Record<string, CelType>>): CelType => ({
  kind: 'object',
  name,
  fields: new Map(Object.entries(fields)),
});
const GROUP_VERSION_KIND = structure('kubernetes.GroupVersionKind', { group: STRING, version: STRING, kind: STRING });
const GROUP_VERSION_RESOURCE = structure('kubernetes.GroupVersionResource', { group: STRING, version: STRING, resource: STRING });
const REQUEST = structure('kubernetes.AdmissionRequest', {
  kind: GROUP_VERSION_KIND,
  resource: GROUP_VERSION_RESOURCE,
  subResource: STRING,
  requestKind: GROUP_VERSION_KIND,
  requestResource: GROUP_VERSION_RESOURCE,
  requestSubResource: STRING,
  name: STRING,
  namespace: STRING,
  operation: STRING,
  userInfo: structure('kubernetes.UserInfo', {
    username: STRING,
    uid: STRING,
    groups: listOf(STRING),
    extra: mapOf(STRING, listOf(STRING)),
  }),
  dryRun: BOOL,
  options: DYN,
});

const text: SchemaNode = { type: 'string' };
const time: SchemaNode = { type: 'string', format: 'date-time' };
const texts: SchemaNode = { type: 'object', additionalProperties: text };
const textList: SchemaNode = { type: 'array', items: text };
/** What of a Namespace expressions see. `UID` is upstream's spelling of the field there. */
const NAMESPACE_SCHEMA: SchemaNode = {
  type: 'object',
  properties: {
    metadata: {
      type: 'object',
      properties: {
        name: text,
        generateName: text,
        namespace: text,
        labels: texts,
        annotations: texts,
        UID: text,
        creationTimestamp: time,
        deletionGracePeriodSeconds: { type: 'integer' },
        deletionTimestamp: time,
        generation: { type: 'integer' },
        resourceVersion: text,
        finalizers: textList,
      },
    },
    spec: { type: 'object', properties: { finalizers: textList } },
    status: {
      type: 'object',
      properties: {
        phase: text,
        conditions: {
          type: 'array',
          items: { type: 'object', properties: { status: text, type: text, lastTransitionTime: time, message: text, reason: text } },
        },
      },
    },
  },
};
const NAMESPACE = typeOfNode(NAMESPACE_SCHEMA);

/** Compiles one expression. @throws {CelCompileError} */
export function admissionExpression(compiler: CelCompiler, expression: string, scope: AdmissionScope): AdmissionExpression {
  const objectType = scope.objectType ?? DYN;
  const variables: Variable[] = [
    { name: 'object', type: objectType },
    { name: 'oldObject', type: objectType },
    { name: 'request', type: REQUEST },
    { name: 'namespaceObject', type: NAMESPACE },
    ...(scope.params ? [{ name: 'params', type: scope.paramsType ?? DYN }] : []),
    ...(scope.authorizer
      ? [
          { name: 'authorizer', type: AUTHORIZER },
          { name: 'authorizer.requestResource', type: RESOURCE_CHECK },
        ]
      : []),
    ...(scope.variables ?? []),
  ];
  const compiled = compiler.compile(expression, variables);
  return {
    text: expression,
    type: compiled.type,
    evaluate: (input, budget) =>
      compiled.evaluate(
        variables.map(({ name }) => input.get(name) ?? null),
        budget,
      ),
  };
}

/** An object as expressions see it where nothing is known of its kind. */
export function untypedValue(object: Json): CelValue {
  return new SchemaValues().of(object, undefined);
}

/** The value of `namespaceObject`. */
export function namespaceValue(namespace: JsonObject): CelValue {
  const metadata = namespace.metadata as JsonObject | undefined;
  const uid = metadata?.uid;
  return new SchemaValues().of(
    { ...namespace, metadata: { ...metadata, ...(uid === undefined ? {} : { UID: uid }) } } as JsonObject,
    NAMESPACE_SCHEMA,
  );
}
