import type { Namespace, Node } from '@dure/api';
import { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';

/** What filters and scores may read. It does not change while one Pod is being decided. */
export interface ClusterView {
  readonly nodes: readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** Pods on nodes, of one namespace. */
  podsIn(namespace: string): Iterable<PlacedPod>;
  /** Pods on nodes that have terms of their own about others. */
  readonly podsWithRequiredAntiAffinity: Iterable<PlacedPod>;
  readonly podsWithAffinity: Iterable<PlacedPod>;
  namespaceLabels(namespace: string): Readonly<Record<string, string>>;
  readonly namespaces: Iterable<string>;
  /** How many Pods of a controller stand on each node. */
  ownedPerNode(controllerUid: string): ReadonlyMap<string, number>;
  /** The same per zone, over nodes that are in one. */
  ownedPerZone(controllerUid: string): ReadonlyMap<string, number>;
}

export const ZONE = 'topology.kubernetes.io/zone';

export interface PlacedPod {
  readonly info: PodInfo;
  readonly node: NodeInfo;
}

const NOBODY: ReadonlyMap<string, number> = new Map();

/**
 * Nodes and the Pods on them, kept incrementally. A Pod counts from the moment its place is decided (`assume`), long before the API
 * server and the cache say so: the next decision must see it.
 */
export class ClusterState implements ClusterView {
  readonly #nodes = new Map<string, NodeInfo>();
  /** The same nodes in a stable order; a fresh array after nodes come or go. */
  #list: readonly NodeInfo[] = [];
  readonly #placed = new Map<string, PlacedPod>();
  readonly #assumed = new Set<string>();
  readonly #byNamespace = new Map<string, Map<string, PlacedPod>>();
  readonly #requiredAnti = new Map<string, PlacedPod>();
  readonly #withAffinity = new Map<string, PlacedPod>();
  readonly #ownedPerNode = new Counts();
  readonly #ownedPerZone = new Counts();
  readonly #namespaceLabels = new Map<string, Readonly<Record<string, string>>>();
  /** Pods on nodes that are not known (yet), by node. */
  readonly #waiting = new Map<string, Map<string, PodInfo>>();

  get nodes(): readonly NodeInfo[] {
    return this.#list;
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  podsIn(namespace: string): Iterable<PlacedPod> {
    return this.#byNamespace.get(namespace)?.values() ?? [];
  }

  get podsWithRequiredAntiAffinity(): Iterable<PlacedPod> {
    return this.#requiredAnti.values();
  }

  get podsWithAffinity(): Iterable<PlacedPod> {
    return this.#withAffinity.values();
  }

  get namespaces(): Iterable<string> {
    return this.#namespaceLabels.keys();
  }

  namespaceLabels(namespace: string): Readonly<Record<string, string>> {
    return this.#namespaceLabels.get(namespace) ?? {};
  }

  ownedPerNode(controllerUid: string): ReadonlyMap<string, number> {
    return this.#ownedPerNode.of(controllerUid);
  }

  ownedPerZone(controllerUid: string): ReadonlyMap<string, number> {
    return this.#ownedPerZone.of(controllerUid);
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid);
  }

  setNamespace({ metadata }: Namespace): void {
    this.#namespaceLabels.set(metadata.name, metadata.labels ?? {});
  }

  removeNamespace(name: string): void {
    this.#namespaceLabels.delete(name);
  }

  setNode(node: Node): void {
    const known = this.#nodes.get(node.metadata.name);
    if (known !== undefined) {
      const moves = known.labels[ZONE] !== node.metadata.labels?.[ZONE];
      if (moves) for (const pod of known.pods()) this.#countOwned(pod, known, -1);
      known.setNode(node);
      if (moves) for (const pod of known.pods()) this.#countOwned(pod, known, 1);
      return;
    }
    const info = new NodeInfo(node);
    this.#nodes.set(info.name, info);
    this.#list = [...this.#nodes.values()];
    const waiting = this.#waiting.get(info.name);
    this.#waiting.delete(info.name);
    for (const pod of waiting?.values() ?? []) this.#place(pod, info);
  }

  removeNode(name: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#nodes.delete(name);
    this.#list = [...this.#nodes.values()];
    for (const pod of [...node.pods()]) {
      this.#unplace(pod.uid);
      this.#wait(pod, name);
    }
  }

  /** The place of `pod` is decided, and not yet known to anybody else. */
  assume(pod: PodInfo, nodeName: string): void {
    this.setPod(pod, nodeName);
    this.#assumed.add(pod.uid);
  }

  /** The place of `pod` as the API says it; ends an assumption. */
  setPod(pod: PodInfo, nodeName: string): void {
    this.removePod(pod.uid);
    const node = this.#nodes.get(nodeName);
    if (node === undefined) this.#wait(pod, nodeName);
    else this.#place(pod, node);
  }

  /** The Pod is gone, finished, or was assumed in vain. */
  removePod(uid: string): void {
    this.#assumed.delete(uid);
    this.#unplace(uid);
    for (const [nodeName, waiting] of this.#waiting) {
      if (waiting.delete(uid) && waiting.size === 0) this.#waiting.delete(nodeName);
    }
  }

  #place(info: PodInfo, node: NodeInfo): void {
    const placed: PlacedPod = { info, node };
    node.add(info);
    this.#placed.set(info.uid, placed);
    const inNamespace = this.#byNamespace.get(info.namespace) ?? new Map<string, PlacedPod>();
    this.#byNamespace.set(info.namespace, inNamespace.set(info.uid, placed));
    if (info.requiredAntiAffinity.length > 0) this.#requiredAnti.set(info.uid, placed);
    if (info.requiredAffinity.length + info.preferredAffinity.length + info.preferredAntiAffinity.length > 0) {
      this.#withAffinity.set(info.uid, placed);
    }
    this.#countOwned(info, node, 1);
  }

  #unplace(uid: string): void {
    const placed = this.#placed.get(uid);
    if (placed === undefined) return;
    const { info, node } = placed;
    this.#placed.delete(uid);
    node.remove(uid);
    const inNamespace = this.#byNamespace.get(info.namespace);
    inNamespace?.delete(uid);
    if (inNamespace?.size === 0) this.#byNamespace.delete(info.namespace);
    this.#requiredAnti.delete(uid);
    this.#withAffinity.delete(uid);
    this.#countOwned(info, node, -1);
  }

  #countOwned({ controllerUid }: PodInfo, { name, labels }: NodeInfo, change: 1 | -1): void {
    if (controllerUid === undefined) return;
    this.#ownedPerNode.add(controllerUid, name, change);
    const zone = labels[ZONE];
    if (zone !== undefined) this.#ownedPerZone.add(controllerUid, zone, change);
  }

  #wait(pod: PodInfo, nodeName: string): void {
    const waiting = this.#waiting.get(nodeName) ?? new Map<string, PodInfo>();
    this.#waiting.set(nodeName, waiting.set(pod.uid, pod));
  }
}

/** Numbers per pair of keys; zeros are not kept. */
class Counts {
  readonly #counts = new Map<string, Map<string, number>>();

  of(key: string): ReadonlyMap<string, number> {
    return this.#counts.get(key) ?? NOBODY;
  }

  add(key: string, inner: string, change: 1 | -1): void {
    const counts = this.#counts.get(key) ?? new Map<string, number>();
    const count = (counts.get(inner) ?? 0) + change;
    if (count > 0) counts.set(inner, count);
    else counts.delete(inner);
    if (counts.size > 0) this.#counts.set(key, counts);
    else this.#counts.delete(key);
  }
}
