import { isDeepStrictEqual } from 'node:util';
import type { ContainerImage, NodeCondition, NodeStatus } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import type { ImageStatus } from '@dure/images';
import type { Enforcement } from '@dure/runtime';

/** Facts about the machine, read once at start; only what can change meanwhile is asked for again. */
export interface HardwareFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly swapBytes: number;
  readonly architecture: 'amd64' | 'arm64' | 'arm' | string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineID: string;
  readonly systemUUID: string;
  readonly bootID: string;
  /** Such as `Raspberry Pi 4 Model B Rev 1.4`, where the machine says. */
  readonly model?: string;
}

export interface NodeIdentity {
  readonly name: string;
  readonly hostname: string;
  readonly internalIPs: readonly string[];
  readonly port: number;
  /** Extra labels that the configuration gives. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface NodeCapacity {
  readonly pods: number;
  readonly ephemeralStorageBytes: number;
  /** Kept from Pods for the system, in millicores and bytes. */
  readonly reservedCpuMillis: number;
  readonly reservedMemoryBytes: number;
}

/** What of the node's state makes its conditions. */
export interface NodeHealth {
  /** Why the node cannot run Pods; `undefined`: it can. */
  readonly notReady: string | undefined;
  readonly memoryPressure: boolean;
  readonly diskPressure: boolean;
  readonly pidPressure: boolean;
  readonly enforcement: readonly Enforcement[];
}

export const KUBELET_VERSION = 'v1.36.0+dure';
export const RUNTIME_VERSION = 'dure://0.1.0';
/** Images in the status, the largest first; more would make every heartbeat's object heavy. */
const IMAGES_MAX = 50;

/** Labels that every node has. */
export function nodeLabels({ name, labels }: NodeIdentity, { architecture, model }: HardwareFacts): Readonly<Record<string, string>> {
  return {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
    ...(model === undefined ? {} : { 'node.kubernetes.io/instance-type': labelValueOf(model) }),
    ...labels,
  };
}

export function nodeAnnotations({ model }: HardwareFacts): Readonly<Record<string, string>> {
  return model === undefined ? {} : { 'dure.dev/machine-model': model };
}

/** The part of the status that is not conditions. Pure. */
export function nodeStatusOf(
  identity: NodeIdentity,
  hardware: HardwareFacts,
  capacity: NodeCapacity,
  images: readonly ImageStatus[],
): Omit<NodeStatus, 'conditions'> {
  const { cpus, memoryBytes, architecture } = hardware;
  const memoryKi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;
  const allocatableCpuMillis = cpus * 1000 - capacity.reservedCpuMillis;
  const shared = {
    'ephemeral-storage': memoryKi(capacity.ephemeralStorageBytes),
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    pods: String(capacity.pods),
  };
  return {
    capacity: { cpu: String(cpus), memory: memoryKi(memoryBytes), ...shared },
    allocatable: {
      cpu: allocatableCpuMillis % 1000 === 0 ? String(allocatableCpuMillis / 1000) : `${allocatableCpuMillis}m`,
      memory: memoryKi(memoryBytes - capacity.reservedMemoryBytes),
      ...shared,
    },
    addresses: [
      ...identity.internalIPs.map((address) => ({ type: 'InternalIP' as const, address })),
      { type: 'Hostname' as const, address: identity.hostname },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: identity.port } },
    nodeInfo: {
      architecture,
      bootID: hardware.bootID,
      containerRuntimeVersion: RUNTIME_VERSION,
      kernelVersion: hardware.kernelVersion,
      kubeProxyVersion: '',
      kubeletVersion: KUBELET_VERSION,
      machineID: hardware.machineID,
      operatingSystem: 'linux',
      osImage: hardware.osImage,
      systemUUID: hardware.systemUUID,
    },
    images: imagesOf(images),
  };
}

/** Conditions with the times of the former ones kept where nothing changed. */
export function nodeConditions(health: NodeHealth, former: readonly NodeCondition[] | undefined, nowMs: number): readonly NodeCondition[] {
  const now = rfc3339Seconds(nowMs);
  const lacking = health.enforcement.filter(({ enforced }) => !enforced);
  const verdicts: readonly Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>[] = [
    pressure('MemoryPressure', health.memoryPressure, 'KubeletHasInsufficientMemory', 'KubeletHasSufficientMemory', 'memory available'),
    pressure('DiskPressure', health.diskPressure, 'KubeletHasDiskPressure', 'KubeletHasNoDiskPressure', 'disk pressure'),
    pressure('PIDPressure', health.pidPressure, 'KubeletHasInsufficientPID', 'KubeletHasSufficientPID', 'PID available'),
    lacking.length === 0
      ? { type: 'ResourceLimitsEnforced', status: 'True', reason: 'ControllersAvailable', message: 'the kernel holds Pods to their limits' }
      : {
          type: 'ResourceLimitsEnforced',
          status: 'False',
          reason: 'ControllersMissing',
          message: lacking
            .map(
              ({ controller, reason, remedy }) =>
                `${controller} limits are not enforced: ${reason ?? 'unknown'}${remedy ? `; ${remedy}` : ''}`,
            )
            .join('. '),
        },
    health.notReady === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: health.notReady },
  ];
  return verdicts.map((verdict) => {
    const old = former?.find(({ type }) => type === verdict.type);
    return {
      ...verdict,
      lastHeartbeatTime: now,
      lastTransitionTime: old?.status === verdict.status ? (old.lastTransitionTime ?? now) : now,
    };
  });
}

/** True when only heartbeat times differ. */
export function isSameStatus(a: NodeStatus | undefined, b: NodeStatus): boolean {
  const bare = (status: NodeStatus | undefined): unknown => {
    if (status === undefined) return undefined;
    const { capacity, allocatable, addresses, daemonEndpoints, nodeInfo, images, conditions = [] } = status;
    const own = new Set((b.conditions ?? []).map(({ type }) => type));
    const facts = conditions
      .filter(({ type }) => own.has(type))
      .map(({ type, status: value, reason, message }) => ({ type, value, reason, message }))
      .sort((one, other) => (one.type < other.type ? -1 : 1));
    return { capacity, allocatable, addresses, daemonEndpoints, nodeInfo, images: images ?? [], facts };
  };
  return isDeepStrictEqual(bare(a), bare(b));
}

function pressure(
  type: string,
  pressed: boolean,
  bad: string,
  good: string,
  what: string,
): Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'> {
  if (pressed)
    return {
      type,
      status: 'True',
      reason: bad,
      message: type === 'DiskPressure' ? 'kubelet has disk pressure' : `kubelet has insufficient ${what}`,
    };
  return {
    type,
    status: 'False',
    reason: good,
    message: type === 'DiskPressure' ? 'kubelet has no disk pressure' : `kubelet has sufficient ${what}`,
  };
}

function imagesOf(images: readonly ImageStatus[]): readonly ContainerImage[] {
  return [...images]
    .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.id < b.id ? -1 : 1))
    .slice(0, IMAGES_MAX)
    .map(({ tags, digests, sizeBytes }) => ({ names: [...digests, ...tags].slice(0, 5), sizeBytes }));
}

/** A label value is short and of few letters; the annotation has the whole name. */
function labelValueOf(model: string): string {
  return model
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}
