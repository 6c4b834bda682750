export type { EtcdTls } from './etcd-connection.ts';
export { type EtcdStoreOptions, openEtcdStore } from './etcd-store.ts';
