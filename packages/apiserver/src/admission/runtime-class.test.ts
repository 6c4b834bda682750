import type { JsonObject } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { admit, createRequest, readerOf, updateRequest } from '../testing/admission-bench.ts';
import { runtimeClass } from './runtime-class.ts';

const plugin = runtimeClass(
  readerOf({
    'node.k8s.io/runtimeclasses': [
      { metadata: { name: 'plain' } },
      { metadata: { name: 'vm' }, overhead: { podFixed: { cpu: '250m', memory: '120Mi' } } },
      {
        metadata: { name: 'picky' },
        scheduling: {
          nodeSelector: { runtime: 'vm' },
          tolerations: [{ key: 'vm', operator: 'Exists', effect: 'NoSchedule' }],
        },
      },
    ],
  }),
);
const podOf = (spec: JsonObject): JsonObject => ({ metadata: { name: 'web' }, spec: { containers: [{ name: 'c' }], ...spec } });
const admitted = async (spec: JsonObject) => (await admit(plugin, createRequest('pods', podOf(spec)))).spec;

describe('RuntimeClass', () => {
  it('writes down what the runtime itself needs', async () => {
    expect(await admitted({ runtimeClassName: 'vm' })).toMatchObject({ overhead: { cpu: '250m', memory: '120Mi' } });
    expect(await admitted({ runtimeClassName: 'vm', overhead: { cpu: '0.25', memory: '120Mi' } })).toMatchObject({
      overhead: { cpu: '250m' },
    });
    expect(await admitted({ runtimeClassName: 'plain' })).not.toHaveProperty('overhead');
  });

  it.each<[string, JsonObject, string]>([
    ['a class that does not exist', { runtimeClassName: 'gone' }, 'pod rejected: RuntimeClass "gone" not found'],
    [
      'another overhead',
      { runtimeClassName: 'vm', overhead: { cpu: '1' } },
      "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    ],
    [
      'overhead without a class',
      { overhead: { cpu: '1' } },
      'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    ],
    [
      'a node selector that contradicts',
      { runtimeClassName: 'picky', nodeSelector: { runtime: 'runc' } },
      'conflict: runtimeClass.scheduling.nodeSelector[runtime] = vm; pod.spec.nodeSelector[runtime] = runc',
    ],
  ])('refuses %s', async (_what, spec, why) => {
    await expect(admitted(spec)).rejects.toThrow(`pods "web" is forbidden: ${why}`);
  });

  it('sends Pods where the runtime is, beside what they say themselves', async () => {
    const own = [
      { key: 'gpu', operator: 'Exists' },
      { key: 'vm', operator: 'Exists' },
    ];
    expect(await admitted({ runtimeClassName: 'picky', nodeSelector: { disk: 'ssd' }, tolerations: own })).toMatchObject({
      nodeSelector: { disk: 'ssd', runtime: 'vm' },
      // The Pod's own toleration of `vm` has no effect, and so all of them.
      tolerations: own,
    });
    expect(await admitted({ runtimeClassName: 'picky' })).toMatchObject({
      tolerations: [{ key: 'vm', operator: 'Exists', effect: 'NoSchedule' }],
    });
  });

  it('has nothing to say about updates', async () => {
    const pod = podOf({ runtimeClassName: 'gone' });
    await expect(admit(plugin, updateRequest('pods', pod, pod))).resolves.toBeDefined();
  });
});
