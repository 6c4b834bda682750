import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { podColumns } from './pod.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');

function cells(pod: JsonObject): unknown[] {
  return podColumns.filter(({ priority }) => priority === 0).map((column) => column.value(pod, NOW));
}

function pod(status: JsonObject, spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject {
  return {
    metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec: { containers: [{ name: 'a' }], ...spec },
    status,
  };
}

const running = { name: 'a', ready: true, restartCount: 0, state: { running: {} } };
const ended = (fields: JsonObject) => ({ name: 'a', ready: false, restartCount: 0, state: { terminated: { exitCode: 0, ...fields } } });

describe('kubectl get pods', () => {
  it.each<[string, JsonObject, string, string, string]>([
    ['a Pod that waits for a node', pod({ phase: 'Pending' }), '0/1', 'Pending', '0'],
    ['a running Pod', pod({ phase: 'Running', containerStatuses: [running] }), '1/1', 'Running', '0'],
    ['a Pod that is not ready', pod({ phase: 'Running', containerStatuses: [{ ...running, ready: false }] }), '0/1', 'Running', '0'],
    [
      'a crash loop',
      pod({
        phase: 'Running',
        containerStatuses: [
          {
            name: 'a',
            restartCount: 3,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { finishedAt: '2026-01-01T00:55:00Z' } },
          },
        ],
      }),
      '0/1',
      'CrashLoopBackOff',
      '3 (5m ago)',
    ],
    ['an ended Pod', pod({ phase: 'Succeeded', containerStatuses: [ended({ reason: 'Completed' })] }), '0/1', 'Completed', '0'],
    ['an exit code', pod({ phase: 'Failed', containerStatuses: [ended({ exitCode: 3 })] }), '0/1', 'ExitCode:3', '0'],
    ['a signal', pod({ phase: 'Failed', containerStatuses: [ended({ exitCode: 137, signal: 9 })] }), '0/1', 'Signal:9', '0'],
    ['an evicted Pod', pod({ phase: 'Failed', reason: 'Evicted' }), '0/1', 'Evicted', '0'],
    [
      'one of two done',
      pod(
        {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True' }],
          containerStatuses: [ended({ reason: 'Completed' }), { ...running, name: 'b' }],
        },
        { containers: [{ name: 'a' }, { name: 'b' }] },
      ),
      '1/2',
      'Running',
      '0',
    ],
    [
      'initialization',
      pod({ phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { running: {} } }] }, { initContainers: [{ name: 'i' }] }),
      '0/1',
      'Init:0/1',
      '0',
    ],
    [
      'an initialization that failed',
      pod({ phase: 'Pending', initContainerStatuses: [ended({ exitCode: 1, reason: 'Error' })] }, { initContainers: [{ name: 'a' }] }),
      '0/1',
      'Init:Error',
      '0',
    ],
    [
      'a sidecar that runs',
      pod(
        {
          phase: 'Running',
          initContainerStatuses: [{ name: 's', started: true, ready: true, restartCount: 2, state: { running: {} } }],
          containerStatuses: [running],
        },
        { initContainers: [{ name: 's', restartPolicy: 'Always' }] },
      ),
      '2/2',
      'Running',
      '2',
    ],
    [
      'a Pod that is leaving',
      pod({ phase: 'Running', containerStatuses: [running] }, {}, { deletionTimestamp: '2026-01-01T00:59:00Z' }),
      '1/1',
      'Terminating',
      '0',
    ],
    [
      'a gate',
      pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
      '0/1',
      'SchedulingGated',
      '0',
    ],
  ])('%s', (_what, object, ready, status, restarts) => {
    expect(cells(object)).toEqual(['p', ready, status, restarts, '60m']);
  });

  it('shows more with -o wide', () => {
    const object = pod(
      { phase: 'Running', podIPs: [{ ip: '10.42.0.5' }], conditions: [{ type: 'g', status: 'True' }] },
      { nodeName: 'n', readinessGates: [{ conditionType: 'g' }] },
    );
    const wide = podColumns.filter(({ priority }) => priority === 1).map((column) => [column.name, column.value(object, NOW)]);
    expect(wide).toEqual([
      ['IP', '10.42.0.5'],
      ['Node', 'n'],
      ['Nominated Node', '<none>'],
      ['Readiness Gates', '1/1'],
    ]);
  });
});
