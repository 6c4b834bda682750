import type { Pod } from '@dure/api';

/** Why a container has no log yet, in upstream's words. */
export function missingRun(pod: Pod, container: string, previous: boolean): string {
  if (previous) return `previous terminated container "${container}" in pod "${pod.metadata.name}" not found`;
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  const status = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(({ name }) => name === container);
  const waiting = status?.state?.waiting;
  if (waiting?.reason === undefined) return `container "${container}" in pod "${pod.metadata.name}" is not available`;
  const why =
    waiting.reason === 'ErrImagePull'
      ? "image can't be pulled"
      : waiting.reason === 'ImagePullBackOff'
        ? 'trying and failing to pull image'
        : waiting.reason;
  return `container "${container}" in pod "${pod.metadata.name}" is waiting to start: ${why}`;
}
