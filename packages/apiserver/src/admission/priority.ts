import { forbiddenRequest, type KubeObject } from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { newPodSpec, textIn } from './pod-shape.ts';

interface PriorityClassShape extends KubeObject {
  readonly value: number;
  readonly globalDefault?: boolean;
  readonly preemptionPolicy?: string;
}

/** Writes the number behind a Pod's priority class into it. @see https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/ */
export function priority(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'Priority',
    async mutate(request) {
      const spec = newPodSpec(request);
      if (spec === undefined) return;
      const chosen = await classOf(reader, request, textIn(spec.priorityClassName));
      const value = chosen?.value ?? 0;
      if (typeof spec.priority === 'number' && spec.priority !== value) {
        throw refuse(
          request,
          `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      }
      spec.priority = value;
      if (chosen !== undefined) spec.priorityClassName = chosen.metadata.name;
      const policy = chosen?.preemptionPolicy ?? 'PreemptLowerPriority';
      if (typeof spec.preemptionPolicy === 'string' && spec.preemptionPolicy !== policy) {
        throw refuse(
          request,
          `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      }
      spec.preemptionPolicy = policy;
    },
  };
}

async function classOf(reader: ObjectReader, request: AdmissionRequest, name: string): Promise<PriorityClassShape | undefined> {
  if (name !== '') {
    const found =
      (await reader.get('scheduling.k8s.io', 'priorityclasses', undefined, name)) ??
      (await reader.get('scheduling.k8s.io', 'priorityclasses', undefined, name, { fresh: true }));
    if (found === undefined) throw refuse(request, `no PriorityClass with name ${name} was found`);
    return found as PriorityClassShape;
  }
  const classes = (await reader.list('scheduling.k8s.io', 'priorityclasses')) as readonly PriorityClassShape[];
  // Several defaults can exist; upstream takes the lowest.
  return classes.filter(({ globalDefault }) => globalDefault === true).toSorted((one, other) => one.value - other.value)[0];
}

function refuse({ name }: AdmissionRequest, why: string) {
  return forbiddenRequest({ group: '', resource: 'pods' }, name, why);
}
