import {
  type CustomResourceDefinition,
  type JsonObject,
  joinApiVersion,
  type KindDefinition,
  objectAt,
  semanticEqual,
  stringAt,
} from '@dure/api';
import { type DefaultObject, type ObjectChange, planDefaults } from './object-change.ts';

/** Says who keeps an APIService: `onstart`, the server as it starts; `true`, the server all the time. */
const KEPT = 'kube-aggregator.kubernetes.io/automanaged';

/** Where a group version stands in discovery: its group among the groups, and itself within the group. The numbers are upstream's. */
const PRIORITIES: Readonly<Record<string, readonly [group: number, version: number]>> = {
  v1: [18_000, 1],
  'apps/v1': [17_800, 15],
  'events.k8s.io/v1': [17_750, 15],
  'authentication.k8s.io/v1': [17_700, 15],
  'authorization.k8s.io/v1': [17_600, 15],
  'autoscaling/v1': [17_500, 15],
  'autoscaling/v2': [17_500, 30],
  'batch/v1': [17_400, 15],
  'certificates.k8s.io/v1': [17_300, 15],
  'networking.k8s.io/v1': [17_200, 15],
  'policy/v1': [17_100, 15],
  'rbac.authorization.k8s.io/v1': [17_000, 15],
  'storage.k8s.io/v1': [16_800, 15],
  'apiextensions.k8s.io/v1': [16_700, 15],
  'admissionregistration.k8s.io/v1': [16_700, 15],
  'scheduling.k8s.io/v1': [16_600, 15],
  'coordination.k8s.io/v1': [16_500, 15],
  'node.k8s.io/v1': [16_300, 15],
  'discovery.k8s.io/v1': [16_200, 15],
  'resource.k8s.io/v1': [16_200, 21],
  'flowcontrol.apiserver.k8s.io/v1': [16_100, 21],
};
const CUSTOM_PRIORITY = [1000, 100] as const;

/**
 * The APIServices of the group versions that this server has built in. They are put right at every start and then left to their owners, who may
 * have another server stand in for one.
 */
export function builtinApiServices(kinds: readonly KindDefinition[]): readonly DefaultObject[] {
  const served = new Set(
    kinds.flatMap(({ group, versions }) =>
      versions.filter(({ served: isServed }) => isServed).map(({ name }) => joinApiVersion(group, name)),
    ),
  );
  return Object.entries(PRIORITIES)
    .filter(([groupVersion]) => served.has(groupVersion))
    .map(([groupVersion, priorities]) => {
      const object = apiService(groupVersion, priorities, 'onstart');
      return { object, revise: (existing) => revise(existing, object) };
    });
}

/** What brings the APIServices of custom kinds in step with their definitions. Pure. */
export function planCustomApiServices(
  definitions: readonly CustomResourceDefinition[],
  services: readonly JsonObject[],
): readonly ObjectChange[] {
  const wanted = new Set(
    definitions.flatMap(({ spec }) => spec.versions.filter(({ served }) => served).map(({ name }) => joinApiVersion(spec.group, name))),
  );
  const stored = new Map(services.map((service) => [stringAt(service, 'metadata', 'name'), service]));
  const defaults = [...wanted]
    .filter((groupVersion) => PRIORITIES[groupVersion] === undefined)
    .map((groupVersion): DefaultObject => {
      const object = apiService(groupVersion, CUSTOM_PRIORITY, 'true');
      return { object, revise: (existing) => revise(existing, object) };
    });
  const names = new Set(defaults.map(({ object }) => stringAt(object, 'metadata', 'name')));
  const left = services.filter((service) => keeperOf(service) === 'true' && !names.has(stringAt(service, 'metadata', 'name')));
  return [
    ...planDefaults(defaults, (object) => stored.get(stringAt(object, 'metadata', 'name'))),
    ...left.map((object): ObjectChange => ({ kind: 'delete', object })),
  ];
}

/** What nobody keeps automatically is somebody's own. */
function revise(existing: JsonObject, wanted: JsonObject): ObjectChange | undefined {
  if (keeperOf(existing) === '' || semanticEqual(existing.spec, wanted.spec)) return undefined;
  return { kind: 'update', object: { ...existing, spec: objectAt(wanted, 'spec') ?? {} } };
}

function keeperOf(service: JsonObject): string {
  return stringAt(service, 'metadata', 'labels', KEPT);
}

function apiService(groupVersion: string, [groupPriorityMinimum, versionPriority]: readonly [number, number], keeper: string): JsonObject {
  const [version = '', group = ''] = groupVersion.split('/').reverse();
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: `${version}.${group}`, labels: { [KEPT]: keeper } },
    spec: { group, version, groupPriorityMinimum, versionPriority },
  };
}
