import type { Pod, PodStatus } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { statusPatch } from './status-patch.ts';

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
  spec: { containers: [] },
  status: {},
};

const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' } as const;

describe('the patch of a status', () => {
  it('is none when nothing differs', () => {
    const status: PodStatus = { phase: 'Running', conditions: [ready] };
    expect(statusPatch(pod, status, structuredClone(status))).toBeUndefined();
  });

  it('has only what differs, bound to the pod by its uid', () => {
    expect(statusPatch(pod, { phase: 'Pending', hostIP: '1' }, { phase: 'Running', hostIP: '1' })).toEqual({
      metadata: { uid: 'u1' },
      status: { phase: 'Running' },
    });
  });

  it('leaves the conditions of others alone and clears the reason of ours', () => {
    const before: PodStatus = {
      conditions: [
        { type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'x' },
        { type: 'example.org/gate', status: 'True' },
      ],
    };
    expect(statusPatch(pod, before, { conditions: [ready] })).toEqual({
      metadata: { uid: 'u1' },
      status: { conditions: [{ reason: null, message: null, ...ready }] },
    });
  });

  it('removes a field that is no longer true', () => {
    expect(statusPatch(pod, { reason: 'Evicted' }, {})).toEqual({ metadata: { uid: 'u1' }, status: { reason: null } });
  });

  it('does not touch what the node does not own', () => {
    expect(statusPatch(pod, { nominatedNodeName: 'n' }, {})).toBeUndefined();
  });
});
