import type { JsonObject } from '../../definition.ts';
import { objectAt, objectsAt } from '../../json-value.ts';
import { quantityOf } from '../../quantity.ts';

export type PodQosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const COUNTED = ['cpu', 'memory'];

/** The quality of service that a Pod's requests and limits give it. @see https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
export function podQosClass(pod: JsonObject): PodQosClass {
  const own = objectAt(pod, 'spec', 'resources');
  const containers = [...objectsAt(pod, 'spec', 'containers'), ...objectsAt(pod, 'spec', 'initContainers')];
  // What the Pod says of itself as a whole wins over its containers.
  const holders =
    own === undefined || Object.keys(own).length === 0 ? containers.map((container) => objectAt(container, 'resources')) : [own];
  let any = false;
  let guaranteed = true;
  for (const resources of holders) {
    for (const name of COUNTED) {
      const request = positive(resources, 'requests', name);
      const limit = positive(resources, 'limits', name);
      if (request !== undefined || limit !== undefined) any = true;
      if (limit === undefined || (request !== undefined && request !== limit)) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(resources: JsonObject | undefined, side: string, name: string): bigint | undefined {
  const nanos = quantityOf(objectAt(resources, side)?.[name])?.nanos;
  return nanos !== undefined && nanos > 0n ? nanos : undefined;
}
