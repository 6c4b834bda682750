export { type ApiServer, type ApiServerOptions, createApiServer } from './api-server.ts';
export { type BootstrapFacts, bootstrapObjects, kubernetesEndpoints } from './bootstrap/bootstrap-objects.ts';
export { type ClusterAccess, type ClusterAccessOptions, clusterAccess } from './cluster-access.ts';
export { SYSTEM_USER, type UserInfo } from './contract/user.ts';
export type { DoorTls, NetworkDoor } from './http/network-door.ts';
