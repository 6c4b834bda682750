import { isDeepStrictEqual } from 'node:util';
import type { KindDefinition, KubeObject } from '@dure/api';
import type { Durability } from '@dure/store';
import { resourcePrefix } from './storage-key.ts';
import type { StoredObject } from './stored-object.ts';

interface LeaseSpec {
  readonly holderIdentity?: string;
}

interface NodeStatus {
  readonly conditions?: readonly { readonly lastHeartbeatTime?: string }[];
}

/** Where the store keeps what {@link durabilityOfUpdate} may call volatile. */
export const VOLATILE_PREFIXES: readonly string[] = [
  resourcePrefix('coordination.k8s.io', 'leases'),
  resourcePrefix('', 'events'),
  resourcePrefix('', 'nodes'),
];

/**
 * Which updates may be lost in a crash: Lease renewals by the same holder, repeats of an Event, and Node status updates that move heartbeats only.
 * Creation, deletion and a change of holder are always durable. Objects of other kinds are not even decoded.
 */
export function durabilityOfUpdate(
  { group, resource }: Pick<KindDefinition, 'group' | 'resource'>,
  old: StoredObject,
  next: StoredObject,
): Durability {
  switch (`${group}/${resource}`) {
    case 'coordination.k8s.io/leases':
      return holderOf(old.object) !== undefined && holderOf(old.object) === holderOf(next.object) ? 'volatile' : 'durable';
    case '/events':
    case 'events.k8s.io/events':
      return 'volatile';
    case '/nodes':
      return isDeepStrictEqual(withoutHeartbeats(old.object), withoutHeartbeats(next.object)) ? 'volatile' : 'durable';
    default:
      return 'durable';
  }
}

function holderOf(lease: KubeObject): string | undefined {
  return (lease as KubeObject & { readonly spec?: LeaseSpec }).spec?.holderIdentity;
}

function withoutHeartbeats(node: KubeObject): unknown {
  const { status, metadata, ...rest } = node as KubeObject & { readonly status?: NodeStatus };
  const { managedFields: _fields, resourceVersion: _revision, ...kept } = metadata;
  const conditions = status?.conditions?.map(({ lastHeartbeatTime: _time, ...condition }) => condition);
  return { ...rest, metadata: kept, status: { ...status, conditions } };
}
