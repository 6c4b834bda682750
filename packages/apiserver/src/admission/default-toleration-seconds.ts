import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { asObject, objectsIn, textIn } from './pod-shape.ts';

const TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];
const TOLERATION_S = 300;

/** Lets Pods stay five minutes on a node that stopped answering, unless they say otherwise. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  async mutate(request) {
    // Updates too: whoever replaces the tolerations leaves out these, and none that stood there may go.
    const spec = writes(request, 'pods') ? asObject(request.object?.spec) : undefined;
    if (spec === undefined) return;
    const tolerations = objectsIn(spec.tolerations);
    const tolerates = (key: string): boolean =>
      tolerations.some((toleration) => [key, ''].includes(textIn(toleration.key)) && ['NoExecute', ''].includes(textIn(toleration.effect)));
    const missing = TAINTS.filter((key) => !tolerates(key));
    if (missing.length === 0) return;
    spec.tolerations = [
      ...tolerations,
      ...missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: TOLERATION_S })),
    ];
  },
};
