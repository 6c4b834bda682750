import type { KubeObject, OwnerReference } from '@dure/api';
import type { DiscoveredResource } from '@dure/client';

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

/** One object of the cluster as the garbage collector sees it. */
export interface GraphNode {
  readonly uid: string;
  readonly resource: DiscoveredResource;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly owners: readonly OwnerReference[];
  readonly isGoing: boolean;
  /** Going, and waiting for its dependents to go first. */
  readonly waitsForDependents: boolean;
  /** Going, and its dependents are to be left behind. */
  readonly leavesDependents: boolean;
}

/** Who owns whom, by uid. Owners that are not there (yet) have dependents too. */
export class OwnershipGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  set(node: GraphNode): void {
    this.#unlink(this.#nodes.get(node.uid));
    this.#nodes.set(node.uid, node);
    for (const { uid } of node.owners) {
      const dependents = this.#dependents.get(uid) ?? new Set<string>();
      this.#dependents.set(uid, dependents.add(node.uid));
    }
  }

  delete(uid: string): void {
    this.#unlink(this.#nodes.get(uid));
    this.#nodes.delete(uid);
  }

  /** Objects that name `uid` among their owners. */
  dependentsOf(uid: string): readonly GraphNode[] {
    const dependents = this.#dependents.get(uid);
    if (dependents === undefined) return [];
    return [...dependents].flatMap((dependent) => this.#nodes.get(dependent) ?? []);
  }

  #unlink(node: GraphNode | undefined): void {
    for (const { uid } of node?.owners ?? []) {
      const dependents = this.#dependents.get(uid);
      dependents?.delete(node?.uid ?? '');
      if (dependents?.size === 0) this.#dependents.delete(uid);
    }
  }
}

/** `object` of `resource` as a node. */
export function graphNode(object: KubeObject, resource: DiscoveredResource): GraphNode {
  const { uid, namespace, name, ownerReferences = [], finalizers = [], deletionTimestamp } = object.metadata;
  const isGoing = deletionTimestamp !== undefined;
  return {
    uid,
    resource,
    apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
    kind: resource.kind,
    namespace,
    name,
    owners: ownerReferences,
    isGoing,
    waitsForDependents: isGoing && finalizers.includes(FOREGROUND),
    leavesDependents: isGoing && finalizers.includes(ORPHAN),
  };
}

/** True if `reference` of a dependent means `owner`: the same uid under another name is a mistake, and means nobody. */
export function refersTo(reference: OwnerReference, dependentNamespace: string | undefined, owner: GraphNode): boolean {
  const [group] = reference.apiVersion.includes('/') ? reference.apiVersion.split('/') : [''];
  return (
    reference.uid === owner.uid &&
    reference.kind === owner.kind &&
    reference.name === owner.name &&
    group === owner.resource.group &&
    (!owner.resource.namespaced || owner.namespace === dependentNamespace)
  );
}
