import { createHash } from 'node:crypto';
import { joinApiVersion, type KindDefinition, type KindRegistry, kindAt } from '@dure/api';
import type { Registration, Registrations } from './registrations.ts';

/** One resource as the unaggregated lists show it. */
interface ApiResource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly storageVersionHash?: string;
}

/** This group comes first of all, whatever is registered: it says what the others are. */
const FIRST_GROUP = 'apiregistration.k8s.io';
/** Where custom kinds stand that nobody registered with another place. */
const GROUP_PRIORITY = 1000;

/** The order of built-in groups that are not registered. @see apiserver, group priorities of the aggregator. */
const GROUP_ORDER: readonly string[] = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'resource.k8s.io',
  'flowcontrol.apiserver.k8s.io',
];

/** What the API offers, in the forms that clients ask for. Pure reading of the registry, and of what is registered beside it. */
export class Discovery {
  readonly #kinds: KindRegistry;
  readonly #registrations: Registrations;

  constructor(kinds: KindRegistry, registrations: Registrations = () => []) {
    this.#kinds = kinds;
    this.#registrations = registrations;
  }

  /** Names of the groups besides core, in order of preference. */
  groups(): readonly string[] {
    const names = new Set(this.#kinds.list().map(({ group }) => group));
    const registered = new Map<string, number>();
    for (const { group, groupPriority, elsewhere } of this.#registrations()) {
      if (elsewhere !== undefined) names.add(group);
      registered.set(group, Math.max(registered.get(group) ?? 0, groupPriority));
    }
    names.delete('');
    const priority = (group: string): number =>
      group === FIRST_GROUP ? Number.POSITIVE_INFINITY : (registered.get(group) ?? usualPriority(group));
    return [...names].sort((left, right) => {
      const [a, b] = [priority(left), priority(right)];
      return a === b ? (left < right ? -1 : 1) : b - a;
    });
  }

  /** Served versions of a group, preferred first. */
  versions(group: string): readonly string[] {
    const names = new Set<string>();
    for (const definition of this.#of(group)) for (const version of definition.versions) if (version.served) names.add(version.name);
    const registered = new Map<string, number>();
    for (const { version, versionPriority, elsewhere } of this.#registered(group)) {
      if (elsewhere !== undefined) names.add(version);
      registered.set(version, versionPriority);
    }
    // Where only some are registered, the others' places say nothing about them.
    const isRanked = [...names].every((name) => registered.has(name));
    return [...names].sort(
      (left, right) => (isRanked ? (registered.get(right) ?? 0) - (registered.get(left) ?? 0) : 0) || compareVersions(left, right),
    );
  }

  /** `GET /api` */
  apiVersions(serverAddress: string): unknown {
    return { kind: 'APIVersions', versions: this.versions(''), serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }] };
  }

  /** `GET /apis` */
  groupList(): unknown {
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: this.groups().map((group) => this.#group(group)) };
  }

  /** `GET /apis/GROUP` */
  group(group: string): unknown {
    return this.versions(group).length === 0 ? undefined : { kind: 'APIGroup', apiVersion: 'v1', ...this.#group(group) };
  }

  /** `GET /api/v1`, `GET /apis/GROUP/VERSION` */
  resourceList(group: string, version: string): unknown {
    if (!this.versions(group).includes(version)) return undefined;
    const resources: ApiResource[] = [];
    for (const definition of this.#at(group, version)) {
      const main: ApiResource = {
        name: definition.resource,
        singularName: definition.singular,
        namespaced: definition.namespaced,
        kind: definition.kind,
        verbs: definition.verbs,
        ...(definition.shortNames.length === 0 ? {} : { shortNames: definition.shortNames }),
        ...(definition.categories.length === 0 ? {} : { categories: definition.categories }),
        ...(definition.verbs.includes('watch') ? { storageVersionHash: storageHash(definition) } : {}),
      };
      if (definition.verbs.length > 0) resources.push(main);
      for (const { name, verbs, body } of definition.subresources) {
        resources.push({
          name: `${definition.resource}/${name}`,
          singularName: '',
          namespaced: definition.namespaced,
          ...(body === undefined ? {} : { group: body.group, version: body.version }),
          kind: body?.kind ?? definition.kind,
          verbs,
        });
      }
    }
    resources.sort((left, right) => (left.name < right.name ? -1 : 1));
    return {
      kind: 'APIResourceList',
      ...(group === '' ? {} : { apiVersion: 'v1' }),
      groupVersion: joinApiVersion(group, version),
      resources,
    };
  }

  /** `GET /api` and `GET /apis` for clients that want everything at once. */
  aggregated(core: boolean, formVersion: 'v2' | 'v2beta1'): unknown {
    const groups = core ? [''] : this.groups();
    return {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${formVersion}`,
      metadata: {},
      items: groups.map((group) => ({
        metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
        versions: this.versions(group).map((version) => {
          const elsewhere = this.#registered(group).find((candidate) => candidate.version === version)?.elsewhere;
          if (elsewhere !== undefined)
            return { version, resources: elsewhere.resources, freshness: elsewhere.isFresh ? 'Current' : 'Stale' };
          const resources = this.#at(group, version)
            .map((definition) => aggregatedResource(definition, group, version))
            .sort((left, right) => (left.resource < right.resource ? -1 : 1));
          return { version, resources, freshness: 'Current' };
        }),
      })),
    };
  }

  #registered(group: string): readonly Registration[] {
    return this.#registrations().filter((registration) => registration.group === group);
  }

  #of(group: string): readonly KindDefinition[] {
    return this.#kinds.list().filter((definition) => definition.group === group);
  }

  /** The kinds of a group that have `version`, each as that version shows it. */
  #at(group: string, version: string): readonly KindDefinition[] {
    return this.#of(group).flatMap((definition) => {
      const served = definition.versions.find((candidate) => candidate.served && candidate.name === version);
      return served === undefined ? [] : [kindAt(definition, served).definition];
    });
  }

  #group(name: string): { readonly name: string } {
    const versions = this.versions(name).map((version) => ({ groupVersion: joinApiVersion(name, version), version }));
    return { name, versions, preferredVersion: versions[0] } as { readonly name: string };
  }
}

function usualPriority(group: string): number {
  const place = GROUP_ORDER.indexOf(group);
  return place < 0 ? GROUP_PRIORITY : GROUP_PRIORITY + GROUP_ORDER.length - place;
}

function aggregatedResource(definition: KindDefinition, group: string, version: string) {
  return {
    resource: definition.resource,
    responseKind: { group, version, kind: definition.kind },
    scope: definition.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: definition.singular,
    verbs: definition.verbs,
    ...(definition.shortNames.length === 0 ? {} : { shortNames: definition.shortNames }),
    ...(definition.categories.length === 0 ? {} : { categories: definition.categories }),
    ...(definition.subresources.length === 0
      ? {}
      : {
          subresources: definition.subresources
            .map(({ name, verbs, body }) => ({ subresource: name, responseKind: body ?? { group, version, kind: definition.kind }, verbs }))
            .toSorted((left, right) => (left.subresource < right.subresource ? -1 : 1)),
        }),
  };
}

/** GA before beta before alpha, and newer before older within each. @see apimachinery, `util/version` */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [rankOf(left), rankOf(right)];
  if (a === undefined || b === undefined) return a === b ? (left < right ? -1 : left > right ? 1 : 0) : a === undefined ? 1 : -1;
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0;
    if (value !== other) return other - value;
  }
  return 0;
}

function rankOf(version: string): readonly number[] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return undefined;
  const stability = match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0;
  return [stability, Number(match[1]), Number(match[3] ?? 0)];
}

function storageHash({ group, storageVersion, kind }: KindDefinition): string {
  return createHash('sha256').update(`${group}/${storageVersion}/${kind}`).digest().subarray(0, 8).toString('base64');
}
