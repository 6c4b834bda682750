export { type AdmissionInput, admit, type Rejection } from './admission.ts';
export type { ObjectSource } from './config/environment.ts';
export { parseResolvConf, type ResolverConfig } from './config/resolv-conf.ts';
export { ImageManager, type ImageManagerOptions } from './images/image-manager.ts';
export { Kubelet, type KubeletOptions } from './kubelet.ts';
export { DEFAULT_ROTATION, type RotationLimits, rotateLog } from './logs/log-rotation.ts';
export {
  type HardwareFacts,
  KUBELET_VERSION,
  type NodeCapacity,
  type NodeHealth,
  type NodeIdentity,
  nodeStatusOf,
  RUNTIME_VERSION,
} from './node/node-description.ts';
export { NodeReporter, type NodeReporterOptions } from './node/node-reporter.ts';
export { ObjectCache, type ObjectCacheOptions } from './objects/object-cache.ts';
export type { NodeFacts, PodDeps } from './pod-deps.ts';
export type { PodDirs } from './pod-dirs.ts';
export { type PodEvents, podEvents } from './pod-events.ts';
export { LABEL as RUNTIME_LABEL } from './pod-identity.ts';
export { PodStore } from './pod-store.ts';
export type { PodVerdict } from './pod-worker.ts';
export { ProbeManager, type ProbeManagerOptions } from './probes/probe-manager.ts';
export type { NodeUsage } from './stats/usage.ts';
export { StatusManager, type StatusManagerOptions } from './status/status-manager.ts';
export { type NodeHandlerOptions, nodeHandlers } from './streaming/node-handlers.ts';
export {
  type Caller,
  NodeRequestError,
  NodeServer,
  type NodeServerHandlers,
  type NodeServerOptions,
  type ServingIdentity,
} from './streaming/node-server.ts';
export { type Mounter, systemMounter } from './volumes/mounter.ts';
export { VolumeManager, type VolumeManagerOptions } from './volumes/volume-manager.ts';
