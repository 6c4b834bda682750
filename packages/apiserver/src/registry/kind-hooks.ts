import type { JsonObject, KubeObject } from '@dure/api';
import type { RegistryCall } from './scope.ts';

/** Undoes what a hook did for a write that failed after it. */
export type Rollback = () => Promise<void>;

/**
 * What some kinds need beyond their strategy, because it takes I/O: addresses for Services, the RBAC escalation check.
 * Hooks run after mutating admission, before validation; they may change `object`. They are not run for dry runs where `dryRun` says so.
 */
export interface KindHooks {
  beforeCreate?(object: JsonObject, call: RegistryCall, dryRun: boolean): Promise<Rollback | undefined>;
  beforeUpdate?(object: JsonObject, old: KubeObject, call: RegistryCall, dryRun: boolean): Promise<Rollback | undefined>;
  /** After the object was stored. */
  afterCreate?(object: KubeObject): Promise<void>;
  /** After the update was stored. */
  afterUpdate?(object: KubeObject, old: KubeObject): Promise<void>;
  /** After the object was really removed. */
  afterDelete?(old: KubeObject): Promise<void>;
}
