import type { Node } from '@dure/api';
import type { HostPort, PodInfo } from './pod-info.ts';
import { addResources, NO_RESOURCES, parseResources, type Resources } from './resources.ts';

/** A node and what the Pods on it, running or assumed, have taken. Kept up to date Pod by Pod; never recomputed. */
export class NodeInfo {
  readonly name: string;
  #node: Node;
  #allocatable: Resources = NO_RESOURCES;
  #podsMax = 0;
  #images: ReadonlyMap<string, number> = new Map();
  #requested = NO_RESOURCES;
  #nonZeroCpuMillis = 0;
  #nonZeroMemoryBytes = 0;
  readonly #pods = new Map<string, PodInfo>();
  readonly #ports = new Map<string, HostPort[]>();

  constructor(node: Node) {
    this.name = node.metadata.name;
    this.#node = node;
    this.setNode(node);
  }

  get node(): Node {
    return this.#node;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#node.metadata.labels ?? {};
  }

  get allocatable(): Resources {
    return this.#allocatable;
  }

  /** How many Pods the node takes at most. */
  get podsMax(): number {
    return this.#podsMax;
  }

  get requested(): Resources {
    return this.#requested;
  }

  get nonZeroCpuMillis(): number {
    return this.#nonZeroCpuMillis;
  }

  get nonZeroMemoryBytes(): number {
    return this.#nonZeroMemoryBytes;
  }

  /** Sizes in bytes of the images that the node has, by every name it knows them under. */
  get images(): ReadonlyMap<string, number> {
    return this.#images;
  }

  get podCount(): number {
    return this.#pods.size;
  }

  pods(): IterableIterator<PodInfo> {
    return this.#pods.values();
  }

  setNode(node: Node): void {
    this.#node = node;
    const allocatable = node.status?.allocatable ?? node.status?.capacity;
    this.#allocatable = parseResources(allocatable);
    this.#podsMax = Number(allocatable?.pods ?? 0);
    this.#images = new Map(
      (node.status?.images ?? []).flatMap(({ names = [], sizeBytes = 0 }) => names.map((name) => [name, Number(sizeBytes)] as const)),
    );
  }

  add(pod: PodInfo): void {
    this.remove(pod.uid);
    this.#pods.set(pod.uid, pod);
    this.#count(pod, 1);
    if (pod.hostPorts.length > 0) this.#ports.set(pod.uid, [...pod.hostPorts]);
  }

  remove(uid: string): PodInfo | undefined {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return undefined;
    this.#pods.delete(uid);
    this.#ports.delete(uid);
    this.#count(pod, -1);
    return pod;
  }

  /** True if a Pod here has taken `wanted`, on that address or on all. */
  isPortTaken(wanted: HostPort): boolean {
    for (const taken of this.#ports.values()) {
      for (const { protocol, address, port } of taken) {
        if (protocol !== wanted.protocol || port !== wanted.port) continue;
        if (address === wanted.address || isEvery(address) || isEvery(wanted.address)) return true;
      }
    }
    return false;
  }

  /** The same node with the same Pods, to try things on. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.#node);
    for (const pod of this.#pods.values()) copy.add(pod);
    return copy;
  }

  #count({ requests, nonZero }: PodInfo, sign: 1 | -1): void {
    this.#requested = addResources(this.#requested, requests, sign);
    this.#nonZeroCpuMillis += sign * nonZero.cpuMillis;
    this.#nonZeroMemoryBytes += sign * nonZero.memoryBytes;
  }
}

function isEvery(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
