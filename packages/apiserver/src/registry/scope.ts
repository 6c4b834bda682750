import { type GroupResource, joinApiVersion, type KindDefinition, type KindVersion, type ServedKind } from '@dure/api';
import type { UserInfo } from '../contract/user.ts';

/** A request that was routed to a kind: everything the registry needs to know about it. */
export interface RegistryCall {
  readonly kind: ServedKind;
  /** '' for cluster scope or all namespaces. */
  readonly namespace: string;
  /** '' for a collection. */
  readonly name: string;
  readonly subresource: string;
  readonly user: UserInfo;
  readonly signal: AbortSignal;
  /** Sends a Warning header with the answer. */
  warn(message: string): void;
  /** A note for the audit log. */
  annotate(key: string, value: string): void;
}

/** How errors name the resource. */
export function groupResource({ kind: { definition } }: Pick<RegistryCall, 'kind'>): GroupResource {
  return { group: definition.group, resource: definition.resource };
}

/** `apps/v1` as objects of this call carry it. */
export function apiVersionOf({ definition, version }: ServedKind): string {
  return joinApiVersion(definition.group, version.name);
}

/** The version that objects are stored in. */
export function storageVersionOf(definition: KindDefinition): KindVersion {
  const version = definition.versions.find(({ name }) => name === definition.storageVersion);
  if (version === undefined) throw new Error(`kind ${definition.kind}: no version ${definition.storageVersion} to store`);
  return version;
}
