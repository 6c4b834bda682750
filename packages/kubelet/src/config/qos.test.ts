import type { Container, Pod, PodSpec } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { cgroupParentOf, oomScoreAdjOf, podTotals, qosClassOf } from './qos.ts';

function pod(spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [{ name: 'a' }], ...spec },
    status: {},
  };
}

function asking(cpu: string | undefined, memory: string | undefined, limits = false): Container {
  const amounts = { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) };
  return { name: 'a', resources: limits ? { requests: amounts, limits: amounts } : { requests: amounts } };
}

describe('the quality of service of a pod', () => {
  it.each<[string, Partial<PodSpec>, string]>([
    ['nothing asked for', {}, 'BestEffort'],
    ['a request alone', { containers: [asking('1', undefined)] }, 'Burstable'],
    ['equal requests and limits', { containers: [asking('1', '1Gi', true)] }, 'Guaranteed'],
    ['one container without limits', { containers: [asking('1', '1Gi', true), { name: 'b' }] }, 'Burstable'],
    ['an init container without limits', { initContainers: [{ name: 'i' }], containers: [asking('1', '1Gi', true)] }, 'Burstable'],
    ['zero counts as nothing', { containers: [asking('0', '0')] }, 'BestEffort'],
    [
      'amounts of the pod itself',
      { containers: [{ name: 'a' }], resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } } },
      'Guaranteed',
    ],
  ])('%s', (_title, spec, expected) => {
    expect(qosClassOf(pod(spec))).toBe(expected);
  });

  it('names the cgroup', () => {
    expect(cgroupParentOf(pod({}))).toBe('kubepods/besteffort/podu1');
  });

  it('sums containers and sidecars, or takes the largest init container beside the sidecars before it', () => {
    const side: Container = { ...asking('100m', '10Mi', true), name: 'side', restartPolicy: 'Always' };
    const big: Container = { ...asking('900m', '5Mi', true), name: 'big' };
    const totals = podTotals(pod({ initContainers: [side, big], containers: [asking('200m', '20Mi', true)], overhead: { cpu: '50m' } }));
    expect(totals).toEqual({
      cpuRequestMillis: 1050,
      memoryRequestBytes: 30 * 2 ** 20,
      cpuLimitMillis: 1050,
      memoryLimitBytes: 30 * 2 ** 20,
    });
  });

  it('has no limit where one container has none', () => {
    expect(podTotals(pod({ containers: [asking('1', '1Gi', true), asking('1', undefined)] })).memoryLimitBytes).toBeUndefined();
  });

  it('tells the kernel whom to kill first', () => {
    const memory = 8 * 2 ** 30;
    const guaranteed = pod({ containers: [asking('1', '1Gi', true)] });
    const burstable = asking('1', '4Gi');
    expect(oomScoreAdjOf(pod({}), { name: 'a' }, memory)).toBe(1000);
    expect(oomScoreAdjOf(guaranteed, asking('1', '1Gi', true), memory)).toBe(-997);
    expect(oomScoreAdjOf(pod({ containers: [burstable] }), burstable, memory)).toBe(500);
    expect(oomScoreAdjOf(pod({ containers: [asking('1', undefined)] }), asking('1', undefined), memory)).toBe(999);
  });
});
