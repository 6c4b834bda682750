import { type JsonObject, type KubeObject, objectAt, objectsAt, semanticEqual, stringAt } from '@dure/api';
import { type DefaultObject, type ObjectChange, planDefaults } from '../object-change.ts';
import {
  AUTOUPDATE,
  mandatoryFlowSchemas,
  mandatoryPriorityLevels,
  suggestedFlowSchemas,
  suggestedPriorityLevels,
} from './default-flow-control.ts';

/** Levels before the schemas that name them. */
export function defaultFlowControl(): readonly DefaultObject[] {
  const mandatory = (object: JsonObject): DefaultObject => ({ object, revise: (existing) => revise(existing, object, true) });
  const suggested = (object: JsonObject): DefaultObject => ({
    object,
    revise: (existing) => revise(existing, object, isAutoUpdated(existing)),
  });
  return [
    ...mandatoryPriorityLevels.map(mandatory),
    ...suggestedPriorityLevels.map(suggested),
    ...mandatoryFlowSchemas.map(mandatory),
    ...suggestedFlowSchemas.map(suggested),
  ];
}

/** What puts flow control right: defaults that are missing, changed or of an older release. Pure. */
export function planFlowControl(schemas: readonly KubeObject[], levels: readonly KubeObject[]): readonly ObjectChange[] {
  const stored = new Map<string, JsonObject>([
    ...schemas.map((schema) => [`FlowSchema/${schema.metadata.name}`, schema as unknown as JsonObject] as const),
    ...levels.map((level) => [`PriorityLevelConfiguration/${level.metadata.name}`, level as unknown as JsonObject] as const),
  ]);
  const keyOf = (object: JsonObject): string => `${stringAt(object, 'kind')}/${stringAt(object, 'metadata', 'name')}`;
  const defaults = defaultFlowControl();
  const own = new Set(defaults.map(({ object }) => keyOf(object)));
  // Those of an older release, which nobody made his own.
  const outdated = [...stored].filter(([key, object]) => !own.has(key) && annotationOf(object) === 'true').map(([, object]) => object);
  return [
    ...planDefaults(defaults, (object) => stored.get(keyOf(object))),
    ...outdated.map((object): ObjectChange => ({ kind: 'delete', object })),
  ];
}

function revise(existing: JsonObject, wanted: JsonObject, updatesSpec: boolean): ObjectChange | undefined {
  const annotated = annotationOf(existing) === String(updatesSpec);
  const isCurrent = !updatesSpec || semanticEqual(withDefaults(existing.spec as JsonObject), withDefaults(wanted.spec as JsonObject));
  if (annotated && isCurrent) return undefined;
  const metadata = objectAt(existing, 'metadata') ?? {};
  const annotations = { ...objectAt(metadata, 'annotations'), [AUTOUPDATE]: String(updatesSpec) };
  const spec = isCurrent ? existing.spec : wanted.spec;
  return { kind: 'update', object: { ...existing, metadata: { ...metadata, annotations }, ...(spec === undefined ? {} : { spec }) } };
}

/** Without the annotation, an object that was never changed is taken for the server's own. */
function isAutoUpdated(existing: JsonObject): boolean {
  const annotation = annotationOf(existing);
  if (annotation === 'true' || annotation === 'false') return annotation === 'true';
  return objectAt(existing, 'metadata')?.generation === 1;
}

function annotationOf(object: JsonObject): string {
  return stringAt(object, 'metadata', 'annotations', AUTOUPDATE);
}

/** False where a rule does not speak of cluster scope is how it is stored; absent is how it is written here. */
function withDefaults(spec: JsonObject): JsonObject {
  const rules = objectsAt(spec, 'rules').map((rule) => ({
    ...rule,
    resourceRules: objectsAt(rule, 'resourceRules').map((one) => ({ clusterScope: false, ...one })),
  }));
  return spec.rules === undefined ? spec : { ...spec, rules };
}
