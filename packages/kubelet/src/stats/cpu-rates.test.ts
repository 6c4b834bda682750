import type { Pod } from '@dure/api';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { containerKey, cpuRatesBetween, UsageMeter, type UsageReading } from './cpu-rates.ts';
import { renderSummary } from './summary.ts';
import type { NodeUsage, PodUsage } from './usage.ts';

function podUsage(uid: string, cpuUsageNs: number): PodUsage {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, namespace: 'shop', uid, resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [] },
    status: {},
  };
  const stats = { cpuUsageNs, memoryWorkingSetBytes: 0, memoryRssBytes: 0 } as PodUsage['containers'][number]['stats'];
  return {
    ...{ pod, startedAtMs: 0, timestampMs: 0, cpuUsageNs, memoryWorkingSetBytes: 0, rxBytes: 0, txBytes: 0 },
    containers: [{ name: 'c', startedAtMs: 0, stats }],
  };
}

function reading(atMs: number, nodeNs: number, ...pods: readonly PodUsage[]): UsageReading {
  return { atMs, node: { cpuUsageNs: nodeNs } as NodeUsage, pods };
}

describe('CPU per second', () => {
  it('is the difference of two readings by the time between', () => {
    const rates = cpuRatesBetween(reading(1_000, 0, podUsage('a', 5e8)), reading(3_000, 3e9, podUsage('a', 1.5e9)));
    expect(rates.node).toBe(1.5e9);
    expect(rates.pods.get('a')).toBe(5e8);
    expect(rates.containers.get(containerKey('a', 'c'))).toBe(5e8);
  });

  it('is not known of what is new or counts from the start again', () => {
    const rates = cpuRatesBetween(reading(0, 5, podUsage('again', 9)), reading(1_000, 6, podUsage('again', 3), podUsage('new', 4)));
    expect(rates.node).toBe(1);
    expect([...rates.containers]).toEqual([]);
  });

  it('shows in the summary', () => {
    const [before, after] = [reading(0, 0, podUsage('a', 0)), reading(1_000, 2e9, podUsage('a', 1e9), podUsage('b', 7))];
    const summary = renderSummary('n', { ...after.node, bootedAtMs: 0 }, after.pods, cpuRatesBetween(before, after), 0);
    expect(summary).toMatchObject({
      node: { cpu: { usageNanoCores: 2e9 } },
      pods: [{ containers: [{ cpu: { usageNanoCores: 1e9, usageCoreNanoSeconds: 1e9 } }] }, {}],
    });
    expect(JSON.stringify((summary as { readonly pods: readonly unknown[] }).pods[1])).not.toContain('usageNanoCores');
  });
});

describe('the meter', () => {
  it('reads twice when asked for the first time, once when asked again soon, twice after a pause and for a new container', async () => {
    const clock = new FakeClock();
    let reads = 0;
    let pods = ['a'];
    const meter = new UsageMeter(async () => {
      reads += 1;
      return reading(clock.monotonicMs(), clock.monotonicMs() * 1e6, ...pods.map((uid) => podUsage(uid, clock.monotonicMs() * 5e5)));
    }, clock);
    const measured = async (): Promise<number | undefined> => {
      const measuring = meter.measure();
      for (let step = 0; step < 4; step += 1) await clock.advance(500);
      return (await measuring).rates.containers.get('b/c') ?? (await measuring).rates.containers.get('a/c');
    };
    expect(await measured()).toBe(5e8);
    expect(reads).toBe(2);
    expect(await measured()).toBe(5e8);
    expect(reads).toBe(3);
    await clock.advance(60_000);
    expect(await measured()).toBe(5e8);
    expect(reads).toBe(5);
    pods = ['a', 'b'];
    expect(await measured()).toBe(5e8);
    expect(reads).toBe(7);
  });
});
