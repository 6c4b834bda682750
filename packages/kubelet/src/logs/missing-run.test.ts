import type { Pod } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { missingRun } from './missing-run.ts';

function waitingPod(reason?: string): Pod {
  const status = { name: 'c', ready: false, restartCount: 0, image: '', imageID: '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [] },
    status: reason === undefined ? {} : { containerStatuses: [{ ...status, state: { waiting: { reason } } }] },
  };
}

describe('a log that is not there', () => {
  it.each<[string | undefined, boolean, string]>([
    ['ErrImagePull', false, 'container "c" in pod "web" is waiting to start: image can\'t be pulled'],
    ['ImagePullBackOff', false, 'container "c" in pod "web" is waiting to start: trying and failing to pull image'],
    ['ContainerCreating', false, 'container "c" in pod "web" is waiting to start: ContainerCreating'],
    [undefined, false, 'container "c" in pod "web" is not available'],
    ['ContainerCreating', true, 'previous terminated container "c" in pod "web" not found'],
  ])('is explained by %s (previous: %s)', (reason, previous, message) => {
    expect(missingRun(waitingPod(reason), 'c', previous)).toBe(message);
  });
});
