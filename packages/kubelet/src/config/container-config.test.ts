import type { Pod } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { ANNOTATION } from '../pod-identity.ts';
import { fakeImage } from '../testing/fake-images.ts';
import { containerConfigOf } from './container-config.ts';

describe('one container for the runtime', () => {
  it('keeps, for the status, the groups that the process really has: its primary one among them', () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
      spec: { containers: [], securityContext: { runAsUser: 1000, runAsGroup: 3000, supplementalGroups: [4000] } },
      status: {},
    };
    const { annotations } = containerConfigOf({
      pod,
      container: { kind: 'regular', spec: { name: 'c', command: ['true'] } },
      attempt: 0,
      image: { ...fakeImage('app:1'), imageID: '', rootfs: { kind: 'layers', lowerDirs: [] }, accounts: { passwd: '', group: '' } },
      env: new Map(),
      hostname: 'web',
      mounts: [],
      nodeMemoryBytes: 1,
      seccompDir: '/seccomp',
      terminationMessageFile: '/end',
    });
    expect(annotations[ANNOTATION.groups]).toBe('3000,4000');
  });
});
