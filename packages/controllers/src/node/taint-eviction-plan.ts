import type { Pod, Taint, Toleration } from '@dure/api';

/**
 * When `pod` must leave a node with `taints`: at once (0), never (`undefined`), or at a wall time in milliseconds since 1970.
 * Counted from when the last of the taints came, so that looking again, or a restart, does not give more time. Pure.
 */
export function evictionTimeMs({ spec }: Pod, taints: readonly Taint[], nowMs: number): number | undefined {
  const pushing = taints.filter(({ effect }) => effect === 'NoExecute');
  if (pushing.length === 0) return undefined;
  const seconds: number[] = [];
  for (const taint of pushing) {
    const matching = (spec.tolerations ?? []).filter((toleration) => toleratesTaint(toleration, taint));
    if (matching.length === 0) return 0;
    for (const { tolerationSeconds } of matching) if (tolerationSeconds !== undefined) seconds.push(Number(tolerationSeconds));
  }
  if (seconds.length === 0) return undefined;
  const least = Math.min(...seconds);
  if (least <= 0) return 0;
  const since = Math.max(...pushing.map(({ timeAdded }) => (timeAdded === undefined ? nowMs : Date.parse(timeAdded))));
  return since + least * 1000;
}

/** @see https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
export function toleratesTaint({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (!key) return operator === 'Exists';
  if (key !== taint.key) return false;
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '');
}
