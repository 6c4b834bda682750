import type { Service } from '@dure/api';
import type { Client } from '@dure/client';
import type { Clock, Logger, Random } from '@dure/foundation';
import type { RuntimeService } from '@dure/runtime';
import type { ObjectSource } from './config/environment.ts';
import type { ResolverConfig } from './config/resolv-conf.ts';
import type { ImageManager } from './images/image-manager.ts';
import type { ObjectReference } from './objects/pod-references.ts';
import type { PodDirs } from './pod-dirs.ts';
import type { PodEvents } from './pod-events.ts';
import type { ProbeManager } from './probes/probe-manager.ts';
import type { StatusManager } from './status/status-manager.ts';
import type { VolumeManager } from './volumes/volume-manager.ts';

/** Facts about the node that Pods are told or measured by. */
export interface NodeFacts {
  readonly name: string;
  readonly hostname: string;
  /** InternalIPs, IPv4 first. They may change while Pods run. */
  ips(): readonly string[];
  readonly memoryBytes: number;
  allocatable(): Readonly<Record<string, string>>;
  readonly clusterDomain: string;
  /** Empty: the cluster has no DNS. */
  readonly clusterDns: readonly string[];
  /** The node's own resolver configuration, as it is now. */
  resolver(): Promise<ResolverConfig>;
  /** The node's own /etc/hosts. */
  hostsFile(): Promise<string>;
  /** Processes a Pod may have; `undefined`: no limit. */
  readonly podPidsMax: number | undefined;
}

/** What a Pod's worker works with. */
export interface PodDeps {
  readonly client: Client;
  readonly runtime: RuntimeService;
  readonly images: ImageManager;
  readonly volumes: VolumeManager;
  readonly objects: ObjectSource & {
    hold(kind: ObjectReference['kind'], namespace: string, name: string, onChange: () => void): () => void;
  };
  /** Every Service of the cluster, once they have been listed. @throws the signal's reason. */
  readonly services: (signal: AbortSignal) => Promise<readonly Service[]>;
  readonly status: StatusManager;
  readonly probes: ProbeManager;
  readonly events: PodEvents;
  readonly node: NodeFacts;
  readonly dirs: PodDirs;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
