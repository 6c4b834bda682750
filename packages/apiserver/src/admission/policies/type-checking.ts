/** What is wrong with a policy's expressions once it is known what its objects look like: told in its status, never held against it. */
import {
  type AdmissionScope,
  admissionExpression,
  CelCompileError,
  CelCompiler,
  type CelVariable,
  DYN,
  type ExpressionWarning,
  type KindRegistry,
  kindAt,
  type SchemaBook,
  type ServedKind,
  typeOfKind,
  type ValidatingAdmissionPolicySpec,
} from '@dure/api';

/** Upstream looks at no more of them. */
const KINDS_MAX = 10;

/** Warnings for each expression that does not fit one of the kinds that the policy names. Rules with wildcards name none. */
export function typeWarnings(spec: ValidatingAdmissionPolicySpec, kinds: KindRegistry, book: SchemaBook): readonly ExpressionWarning[] {
  const concerned = kindsOf(spec, kinds);
  if (concerned.length === 0) return [];
  const compiler = new CelCompiler();
  const params = spec.paramKind === undefined ? undefined : kinds.object(spec.paramKind.apiVersion ?? '', spec.paramKind.kind ?? '');
  const scopes = concerned.map((kind) => {
    const scope = {
      params: spec.paramKind !== undefined,
      authorizer: true,
      objectType: typeOfKind(kind, book),
      ...(params === undefined ? {} : { paramsType: typeOfKind(params, book) }),
    };
    return { kind, scope: { ...scope, variables: typedVariables(spec, scope, compiler) } };
  });
  const warnings: ExpressionWarning[] = [];
  const check = (fieldRef: string, expression: string): void => {
    const found = scopes.flatMap(({ kind, scope }) => {
      const fault = faultOf(expression, scope, compiler);
      return fault === undefined ? [] : [`${shownKind(kind)}: ${fault}\n`];
    });
    if (found.length > 0) warnings.push({ fieldRef, warning: found.join('\n') });
  };
  for (const [index, { expression, messageExpression = '' }] of (spec.validations ?? []).entries()) {
    check(`spec.validations[${index}].expression`, expression);
    if (messageExpression !== '') check(`spec.validations[${index}].messageExpression`, messageExpression);
  }
  return warnings;
}

function kindsOf({ matchConstraints }: ValidatingAdmissionPolicySpec, kinds: KindRegistry): readonly ServedKind[] {
  const found = new Map<string, ServedKind>();
  for (const { apiGroups = [], apiVersions = [], resources = [] } of matchConstraints?.resourceRules ?? []) {
    if (apiGroups.includes('*') || apiVersions.includes('*')) continue;
    for (const group of apiGroups)
      for (const version of apiVersions)
        for (const resource of resources.filter((name) => !/[*/]/.test(name))) {
          const kind = kinds.resource(group, version, resource);
          if (kind !== undefined && found.size < KINDS_MAX) found.set(shownKind(kind), kindAt(kind.definition, kind.version));
        }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind);
}

/** Variables that do not fit are of any type for those who read them; what reads them is told by itself. */
function typedVariables(
  { variables = [] }: ValidatingAdmissionPolicySpec,
  scope: AdmissionScope,
  compiler: CelCompiler,
): readonly CelVariable[] {
  const declared: CelVariable[] = [];
  for (const { name, expression } of variables) {
    let type = DYN;
    try {
      ({ type } = admissionExpression(compiler, expression, { ...scope, variables: [...declared] }));
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
    }
    declared.push({ name: `variables.${name}`, type });
  }
  return declared;
}

function faultOf(expression: string, scope: AdmissionScope, compiler: CelCompiler): string | undefined {
  try {
    admissionExpression(compiler, expression, scope);
    return undefined;
  } catch (error) {
    if (error instanceof CelCompileError) return error.message;
    throw error;
  }
}

/** As upstream prints a kind: `apps/v1, Kind=Deployment`. */
function shownKind({ definition, version }: ServedKind): string {
  return `${definition.group}/${version.name}, Kind=${definition.kind}`;
}
