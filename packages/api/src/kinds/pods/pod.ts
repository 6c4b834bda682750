/** What the server decides about a Pod's life. */
import type { JsonObject, Strategy } from '../../definition.ts';
import { ensureObject, listAt, numberAt, objectAt, stringAt, trueAt } from '../../json-value.ts';
import { combine, copyField, lifecycle } from '../lifecycle.ts';
import { podQosClass } from './pod-qos.ts';
import { defaultPod } from './pod-spec-defaults.ts';
import { validatePodSpec } from './pod-spec-validation.ts';
import { validatePodStatusUpdate } from './pod-status-validation.ts';
import { validatePodUpdate } from './pod-update-validation.ts';

export const podStrategy: Strategy = combine(lifecycle({ status: true, generation: true }), {
  unconditionalUpdateAllowed: true,
  defaults: defaultPod,
  prepareForCreate(pod) {
    pod.status = { phase: 'Pending', qosClass: podQosClass(pod) };
    // Known at once, so that nobody need wait for a scheduler that will not look at the Pod.
    if (listAt(pod, 'spec', 'schedulingGates').length > 0) {
      pod.status.conditions = [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
        },
      ];
    }
  },
  prepareForUpdate: keepQos,
  prepareForStatusUpdate(pod, old) {
    const status = ensureObject(pod, 'status');
    if (stringAt(status, 'qosClass') === '') status.qosClass = stringAt(old, 'status', 'qosClass') || podQosClass(old);
    // The garbage collector and the disruption controller write through the main door.
    const metadata = ensureObject(pod, 'metadata');
    const oldMetadata = objectAt(old, 'metadata') ?? {};
    copyField(metadata, oldMetadata, 'ownerReferences');
  },
  validate: (pod) => validatePodSpec(objectAt(pod, 'spec') ?? {}, 'spec'),
  validateUpdate: validatePodUpdate,
  validateStatusUpdate: validatePodStatusUpdate,
  selectableFields(pod) {
    return {
      'spec.nodeName': stringAt(pod, 'spec', 'nodeName'),
      'spec.restartPolicy': stringAt(pod, 'spec', 'restartPolicy'),
      'spec.schedulerName': stringAt(pod, 'spec', 'schedulerName'),
      'spec.serviceAccountName': stringAt(pod, 'spec', 'serviceAccountName'),
      'spec.hostNetwork': String(trueAt(pod, 'spec', 'hostNetwork')),
      'status.phase': stringAt(pod, 'status', 'phase'),
      'status.podIP': stringAt(pod, 'status', 'podIP'),
      'status.nominatedNodeName': stringAt(pod, 'status', 'nominatedNodeName'),
    };
  },
  gracePeriodSeconds(pod, requested) {
    const wanted = requested ?? numberAt(pod, 'spec', 'terminationGracePeriodSeconds') ?? 0;
    const phase = stringAt(pod, 'status', 'phase');
    // Nothing runs where no node was chosen, and nothing runs any more where it ended.
    if (stringAt(pod, 'spec', 'nodeName') === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
    return wanted < 0 ? 1 : wanted;
  },
});

function keepQos(pod: JsonObject, old: JsonObject): void {
  const status = ensureObject(pod, 'status');
  if (stringAt(status, 'qosClass') === '') status.qosClass = stringAt(old, 'status', 'qosClass') || podQosClass(old);
}
