import { join } from 'node:path';
import type { Node, Pod, Service } from '@dure/api';
import type { Client } from '@dure/client';
import { type Clock, type Random, silentLogger } from '@dure/foundation';
import type { ImageService } from '@dure/images';
import type { RuntimeService } from '@dure/runtime';
import { ImageManager } from '../images/image-manager.ts';
import { Kubelet } from '../kubelet.ts';
import { ObjectCache } from '../objects/object-cache.ts';
import type { NodeFacts } from '../pod-deps.ts';
import type { PodEvents } from '../pod-events.ts';
import { PodStore } from '../pod-store.ts';
import { ProbeManager } from '../probes/probe-manager.ts';
import { StatusManager } from '../status/status-manager.ts';
import type { Mounter } from '../volumes/mounter.ts';
import { VolumeManager } from '../volumes/volume-manager.ts';

export const FAKE_NODE: NodeFacts = {
  name: 'node-a',
  hostname: 'node-a',
  ips: () => ['192.0.2.10'],
  memoryBytes: 8 * 2 ** 30,
  allocatable: () => ({ cpu: '4', memory: '8Gi', pods: '110' }),
  clusterDomain: 'cluster.local',
  clusterDns: ['10.43.0.10'],
  resolver: async () => ({ nameservers: ['192.0.2.1'], searches: ['example.org'], options: [] }),
  hostsFile: async () => '127.0.0.1 localhost\n',
  podPidsMax: undefined,
};

export interface WiringOptions {
  readonly client: Client;
  readonly runtime: RuntimeService;
  readonly images: ImageService;
  readonly mounter: Mounter;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: PodEvents;
  /** Everything on disk goes below. */
  readonly root: string;
  readonly services: () => readonly Service[];
  readonly nodeObject: () => Node | undefined;
  readonly signal: AbortSignal;
}

/** A kubelet with all its parts, put together as an agent does it. */
export function wireKubelet(options: WiringOptions): { readonly kubelet: Kubelet; readonly volumes: VolumeManager } {
  const { client, runtime, mounter, clock, random, events, root, signal } = options;
  const log = silentLogger;
  const dirs = { pods: join(root, 'pods'), logs: join(root, 'logs'), memory: join(root, 'memory'), seccomp: join(root, 'seccomp') };
  const objects = new ObjectCache({ client, clock, random, log, signal });
  const images = new ImageManager({ images: options.images, objects, events, clock, hostImage: { hide: ['/root'] } });
  const volumes = new VolumeManager({
    client,
    objects,
    mounter,
    imageLayers: (pod, volume, stop) => images.layersOf(pod, volume.image?.reference ?? '', volume.image?.pullPolicy, stop),
    clock,
    random,
    log,
    podsDir: dirs.pods,
    memoryDir: dirs.memory,
    facts: (pod: Pod) => ({
      podIPs: pod.status?.podIPs?.map(({ ip }) => ip) ?? [],
      hostIPs: FAKE_NODE.ips(),
      allocatable: FAKE_NODE.allocatable(),
    }),
  });
  const probes: ProbeManager = new ProbeManager({ runtime, events, clock, random, log, onChange: (uid) => kubelet.probeChanged(uid) });
  const kubelet = new Kubelet({
    client,
    runtime,
    images,
    volumes,
    objects,
    services: async () => options.services(),
    status: new StatusManager({ client, clock, log, signal }),
    probes,
    events,
    node: FAKE_NODE,
    dirs,
    clock,
    random,
    log,
    nodeObject: options.nodeObject,
    store: new PodStore(dirs.pods, log),
    allowedSysctls: new Set(),
  });
  return { kubelet, volumes };
}
