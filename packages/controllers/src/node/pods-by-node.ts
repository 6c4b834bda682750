import type { Pod } from '@dure/api';

export const BY_NODE = 'node';

/** An index of Pods by the node they are bound to, which several controllers share. */
export function nodeOfPod({ spec }: Pod): readonly string[] {
  return spec.nodeName ? [spec.nodeName] : [];
}
