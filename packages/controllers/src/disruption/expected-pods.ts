import {
  type Deployment,
  deployments,
  isNotFound,
  type KubeObject,
  type OwnerReference,
  type Pod,
  type ReplicaSet,
  type ReplicationController,
  type ResourceRef,
  replicaSets,
  replicationControllers,
  type Scale,
  type StatefulSet,
  statefulSets,
} from '@dure/api';
import { type DiscoveredResource, discoverResources, type Informer, objectPath } from '@dure/client';
import type { ControllerContext } from '../controller.ts';
import { controllerOf } from '../ownership.ts';

/** Kinds of others are looked up anew after so long: a definition may have come. */
const DISCOVERY_MS = 60_000;

/** How many Pods the owners of `selected` want together, or why that cannot be said. */
export type Expected = { readonly expected: number } | { readonly problem: string };

interface Owner {
  readonly uid: string;
  readonly replicas: number;
}

/**
 * Finds what the owners of Pods want: of Deployments (through their ReplicaSets), ReplicaSets, StatefulSets and ReplicationControllers from the
 * caches, of any other kind through its `scale` subresource.
 */
export class ExpectedPods {
  readonly caches: readonly Informer<KubeObject>[];
  readonly #context: ControllerContext;
  readonly #deployments: Informer<Deployment>;
  readonly #replicaSets: Informer<ReplicaSet>;
  readonly #statefulSets: Informer<StatefulSet>;
  readonly #replicationControllers: Informer<ReplicationController>;
  #discovered: { readonly resources: readonly DiscoveredResource[]; readonly atMs: number } | undefined;

  constructor(context: ControllerContext) {
    const { informers } = context;
    this.#context = context;
    this.#deployments = informers.informer<Deployment>(deployments);
    this.#replicaSets = informers.informer<ReplicaSet>(replicaSets);
    this.#statefulSets = informers.informer<StatefulSet>(statefulSets);
    this.#replicationControllers = informers.informer<ReplicationController>(replicationControllers);
    this.caches = [
      this.#deployments,
      this.#replicaSets,
      this.#statefulSets,
      this.#replicationControllers,
    ] as readonly Informer<KubeObject>[];
  }

  async of(selected: readonly Pod[], signal: AbortSignal): Promise<Expected> {
    const owners = new Map<string, number>();
    for (const pod of selected) {
      const reference = controllerOf(pod);
      if (reference === undefined) return { problem: `found no controller ref for pod ${JSON.stringify(pod.metadata.name)}` };
      if (owners.has(reference.uid)) continue;
      const owner = await this.#ownerOf(pod.metadata.namespace ?? '', reference, signal);
      if (owner === undefined) {
        const { kind, name } = reference;
        return {
          problem: `found no controllers for pod ${JSON.stringify(pod.metadata.name)}: ${kind} ${JSON.stringify(name)} has no scale`,
        };
      }
      owners.set(owner.uid, owner.replicas);
      // A ReplicaSet's Pods are counted through its Deployment, once for all ReplicaSets of that.
      if (owner.uid !== reference.uid) owners.set(reference.uid, 0);
    }
    return { expected: [...owners.values()].reduce((sum, replicas) => sum + replicas, 0) };
  }

  /** Nobody, with no Pods, where the owner went meanwhile: its Pods go too. */
  async #ownerOf(namespace: string, reference: OwnerReference, signal: AbortSignal): Promise<Owner | undefined> {
    const { uid, name, kind, apiVersion } = reference;
    const key = `${namespace}/${name}`;
    const gone: Owner = { uid, replicas: 0 };
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    switch (`${group}/${kind}`) {
      case 'apps/ReplicaSet': {
        const replicaSet = current(this.#replicaSets.get(key), uid);
        if (replicaSet === undefined) return gone;
        const above = controllerOf(replicaSet);
        if (above?.kind !== 'Deployment') return { uid, replicas: replicaSet.spec.replicas ?? 1 };
        const deployment = current(this.#deployments.get(`${namespace}/${above.name}`), above.uid);
        return deployment === undefined ? gone : { uid: above.uid, replicas: deployment.spec.replicas ?? 1 };
      }
      case 'apps/StatefulSet':
        return wanted(current(this.#statefulSets.get(key), uid)) ?? gone;
      case '/ReplicationController':
        return wanted(current(this.#replicationControllers.get(key), uid)) ?? gone;
      default:
        return this.#scaledOwner({ namespace, uid, name, kind, group }, signal);
    }
  }

  async #scaledOwner(
    { namespace, uid, name, kind, group }: { namespace: string; uid: string; name: string; kind: string; group: string },
    signal: AbortSignal,
  ): Promise<Owner | undefined> {
    const ref = (await this.#discover(signal)).find((resource) => resource.group === group && resource.kind === kind);
    if (ref === undefined) return undefined;
    try {
      const path = objectPath(ref as ResourceRef, { namespace, name }, 'scale');
      const scale = await this.#context.client.request<Scale>('GET', path, undefined, signal);
      return { uid, replicas: scale.spec?.replicas ?? 0 };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #discover(signal: AbortSignal): Promise<readonly DiscoveredResource[]> {
    const { client, clock } = this.#context;
    if (this.#discovered === undefined || clock.monotonicMs() - this.#discovered.atMs > DISCOVERY_MS) {
      const { resources } = await discoverResources(client, signal);
      this.#discovered = { resources, atMs: clock.monotonicMs() };
    }
    return this.#discovered.resources;
  }
}

function current<T extends KubeObject>(object: T | undefined, uid: string): T | undefined {
  return object?.metadata.uid === uid ? object : undefined;
}

function wanted(object: StatefulSet | ReplicationController | undefined): Owner | undefined {
  return object && { uid: object.metadata.uid, replicas: object.spec?.replicas ?? 1 };
}
