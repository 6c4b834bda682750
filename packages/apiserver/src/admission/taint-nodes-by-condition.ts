import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { asObject, objectsIn } from './pod-shape.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';

/** A new Node takes no Pods until the node controller has seen it ready: nothing is scheduled onto it in between. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  async mutate(request) {
    if (request.operation !== 'CREATE' || !writes(request, 'nodes') || request.object === undefined) return;
    const spec = asObject(request.object.spec) ?? {};
    const taints = objectsIn(spec.taints);
    if (taints.some(({ key }) => key === NOT_READY)) return;
    request.object.spec = { ...spec, taints: [...taints, { key: NOT_READY, effect: 'NoSchedule' }] };
  },
};
