import type { Pod, PodSecurityContext, SecurityContext } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { forbiddenSysctl, MASKED_PATHS, securityOf } from './security.ts';

const accounts = { passwd: 'root:x:0:0::/:/bin/sh\napp:x:1001:2001::/:/bin/sh\n', group: 'extra:x:60:app\n' };

function secure(own: SecurityContext, ofPod: PodSecurityContext = {}, imageUser = '') {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [], securityContext: ofPod },
    status: {},
  };
  return securityOf({ pod, container: { name: 'c', securityContext: own }, imageUser, accounts, seccompDir: '/seccomp' });
}

describe('what a container may do', () => {
  it('runs as the image says unless told otherwise', () => {
    expect(secure({}, {}, 'app')).toMatchObject({ uid: 1001, gid: 2001, supplementalGroups: [60] });
    expect(secure({ runAsUser: 5 }, { runAsUser: 6, runAsGroup: 7 }, 'app')).toMatchObject({ uid: 5, gid: 7 });
  });

  it('belongs to fsGroup and the groups of the pod, and to those of the image unless the policy is Strict', () => {
    const groups = { fsGroup: 2000, supplementalGroups: [3000] };
    expect(secure({ runAsUser: 1001 }, groups).supplementalGroups).toEqual([60, 2000, 3000]);
    expect(secure({ runAsUser: 1001 }, { ...groups, supplementalGroupsPolicy: 'Strict' }).supplementalGroups).toEqual([2000, 3000]);
  });

  it.each<[string, SecurityContext, string, RegExp]>([
    [
      'uid 0 was asked for',
      { runAsNonRoot: true, runAsUser: 0 },
      '',
      /^container's runAsUser breaks non-root policy \(pod: "web_shop\(u1\)", container: c\)$/,
    ],
    ['the image runs as root', { runAsNonRoot: true }, '', /^container has runAsNonRoot and image will run as root/],
    [
      'the image names a user',
      { runAsNonRoot: true },
      'app',
      /^container has runAsNonRoot and image has non-numeric user \(app\), cannot verify user is non-root/,
    ],
  ])('is refused as root when %s', (_title, own, user, message) => {
    expect(() => secure(own, {}, user)).toThrow(message);
  });

  it('may be root under another number', () => {
    expect(secure({ runAsNonRoot: true }, {}, '1001')).toMatchObject({ uid: 1001 });
  });

  it('sees the host only when privileged or unmasked', () => {
    expect(secure({}).maskedPaths).toEqual(MASKED_PATHS);
    expect(secure({ privileged: true })).toMatchObject({ maskedPaths: [], privileged: true, noNewPrivileges: false });
    expect(secure({ procMount: 'Unmasked' }).readonlyPaths).toEqual([]);
  });

  it('takes its seccomp profile from the container, then the pod', () => {
    expect(secure({}).seccomp).toEqual({ kind: 'unconfined' });
    expect(secure({}, { seccompProfile: { type: 'RuntimeDefault' } }).seccomp).toEqual({ kind: 'default' });
    const local = { type: 'Localhost', localhostProfile: 'strict.json' } as const;
    expect(secure({ seccompProfile: local }, { seccompProfile: { type: 'RuntimeDefault' } }).seccomp).toEqual({
      kind: 'file',
      path: '/seccomp/strict.json',
    });
  });
});

describe('sysctls', () => {
  it('are refused unless they are safe or allowed', () => {
    const pod = (name: string): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
      spec: { containers: [], securityContext: { sysctls: [{ name, value: '1' }] } },
      status: {},
    });
    expect(forbiddenSysctl(pod('kernel.shm_rmid_forced'))).toBeUndefined();
    expect(forbiddenSysctl(pod('kernel.msgmax'))).toBe('kernel.msgmax');
    expect(forbiddenSysctl(pod('kernel/msgmax'), new Set(['kernel.msgmax']))).toBeUndefined();
  });
});
