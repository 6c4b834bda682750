import type { Pod } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { observationOf } from '../plan/observation.ts';
import { type StatusContext, statusOf } from './pod-status.ts';

const container = { name: 'web', image: 'app:1' };

function podWith(spec: Partial<NonNullable<Pod['spec']>>): Pod {
  const metadata = { name: 'web-0', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container], ...spec }, status: {} };
}

function context(of: Partial<StatusContext> = {}): StatusContext {
  return {
    nowMs: 0,
    hostIPs: ['192.0.2.10'],
    busy: new Set(),
    probesOf: () => ({ startup: 'none', liveness: 'none', readiness: 'none' }),
    waitingOf: () => undefined,
    terminationMessageOf: () => undefined,
    terminating: false,
    ...of,
  };
}

function reasons(pod: Pod): (string | undefined)[] {
  const { initContainerStatuses = [], containerStatuses = [] } = statusOf(pod, observationOf([], []), context());
  return [...initContainerStatuses, ...containerStatuses].map(({ state }) => state?.waiting?.reason);
}

describe('a container that has not run yet', () => {
  it('is being created', () => {
    expect(reasons(podWith({}))).toEqual(['ContainerCreating']);
  });

  it('waits for the Pod to be initialized where there are init containers, the first of these included', () => {
    expect(reasons(podWith({ initContainers: [{ name: 'first' }, { name: 'second' }] }))).toEqual(Array(3).fill('PodInitializing'));
  });
});
