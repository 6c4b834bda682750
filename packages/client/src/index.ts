export type { Client, DeleteQuery, ListQuery, ObjectKey, Patch, WatchQuery, WriteQuery } from './client.ts';
export { type DiscoveredResource, type Discovery, discoverResources } from './discovery.ts';
export {
  createEventRecorder,
  type EventRecorder,
  type EventRecorderOptions,
  type EventType,
  type RunningEventRecorder,
  referenceTo,
} from './event-recorder.ts';
export { cachedToken, inClusterConfig } from './in-cluster-config.ts';
export { createInformer, type Informer, type InformerHandler, type InformerOptions, withoutManagedFields } from './informer.ts';
export { createInformerFactory, type InformerFactory, type InformerFactoryOptions, type InformerSelection } from './informer-factory.ts';
export { FRAME_BYTES_MAX, FrameError, jsonFrames } from './json-frames.ts';
export {
  type ClusterAccess,
  KubeconfigError,
  type KubeconfigFacts,
  loadKubeconfig,
  parseKubeconfig,
  renderKubeconfig,
} from './kubeconfig.ts';
export { type LeaderElectionOptions, LeadershipLostError, runLeaderElection } from './leader-election.ts';
export {
  type ClientIdentity,
  createNetworkTransport,
  type NetworkTimeouts,
  type NetworkTransport,
  type NetworkTransportOptions,
} from './network-transport.ts';
export { type IndexFunction, type Lister, ObjectStore } from './object-store.ts';
export { type ReflectorOptions, type ReflectorTarget, runReflector } from './reflector.ts';
export { collectionPath, keyOf, objectPath, parseKey } from './resource-path.ts';
export { type ClientOptions, createClient } from './rest-client.ts';
export { isResourceVersionTooLarge, retryAfterMs } from './status-answer.ts';
export type { Transport, TransportRequest, TransportResponse } from './transport.ts';
export { TransportError } from './transport-error.ts';
