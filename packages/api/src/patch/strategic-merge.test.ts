import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../definition.ts';
import { builtinSchemas } from '../schema/builtin-book.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMerge, StrategicMergeError } from './strategic-merge.ts';

interface PatchCase {
  readonly what: string;
  readonly from: JsonObject;
  readonly patch: JsonObject;
  readonly to: JsonObject;
}

const a = { name: 'a', image: 'x' };
const b = { name: 'b', image: 'y' };

/** Of a Pod's spec. */
const cases: readonly PatchCase[] = [
  { what: 'sets a field', from: { nodeName: 'x' }, patch: { nodeName: 'y' }, to: { nodeName: 'y' } },
  { what: 'deletes by null', from: { nodeName: 'x', hostname: 'h' }, patch: { nodeName: null }, to: { hostname: 'h' } },
  { what: 'drops nulls of new maps', from: {}, patch: { nodeSelector: { a: '1', b: null } }, to: { nodeSelector: { a: '1' } } },
  {
    what: 'merges lists by key',
    from: { containers: [a, b] },
    patch: { containers: [{ name: 'a', image: 'z' }] },
    to: { containers: [{ name: 'a', image: 'z' }, b] },
  },
  {
    what: 'adds to lists, in front where the patch gives no order',
    from: { containers: [a] },
    patch: { containers: [b] },
    to: { containers: [b, a] },
  },
  {
    what: 'deletes entries',
    from: { containers: [a, b] },
    patch: { containers: [{ name: 'a', $patch: 'delete' }] },
    to: { containers: [b] },
  },
  { what: 'replaces lists', from: { containers: [a] }, patch: { containers: [{ $patch: 'replace' }, b] }, to: { containers: [b] } },
  {
    what: 'replaces maps',
    from: { nodeSelector: { a: '1' } },
    patch: { nodeSelector: { $patch: 'replace', b: '2' } },
    to: { nodeSelector: { b: '2' } },
  },
  { what: 'empties maps', from: { nodeSelector: { a: '1' } }, patch: { nodeSelector: { $patch: 'delete' } }, to: { nodeSelector: {} } },
  {
    what: 'replaces atomic lists',
    from: { tolerations: [{ key: 'a' }] },
    patch: { tolerations: [{ key: 'b' }] },
    to: { tolerations: [{ key: 'b' }] },
  },
  {
    what: 'orders entries',
    from: { containers: [a, b] },
    patch: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] },
    to: { containers: [b, a] },
  },
  {
    what: 'orders and changes entries, the others where they were',
    from: { containers: [a, { name: 'injected' }, b] },
    patch: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }, { name: 'c' }], containers: [{ name: 'c' }] },
    to: { containers: [{ name: 'injected' }, b, a, { name: 'c' }] },
  },
  {
    what: 'keeps only named keys',
    from: { volumes: [{ name: 'v', emptyDir: {} }] },
    patch: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] },
    to: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] },
  },
  {
    what: 'merges within entries of lists within entries',
    from: { containers: [{ ...a, env: [{ name: 'X', value: '1' }] }] },
    patch: { containers: [{ name: 'a', env: [{ name: 'Y', value: '2' }] }] },
    to: {
      containers: [
        {
          ...a,
          env: [
            { name: 'Y', value: '2' },
            { name: 'X', value: '1' },
          ],
        },
      ],
    },
  },
];

function patchPod(spec: JsonObject, patch: JsonObject): JsonObject {
  return applyStrategicMerge({ spec }, { spec: patch }, { ref: 'io.k8s.api.core.v1.Pod' }, builtinSchemas).spec as JsonObject;
}

describe('strategic merge', () => {
  it.each(cases)('$what', ({ from, patch, to }) => {
    expect(patchPod(from, patch)).toEqual(to);
  });

  it('adds to and deletes from lists of plain values', () => {
    const patch = {
      metadata: { '$deleteFromPrimitiveList/finalizers': ['x/a'], '$setElementOrder/finalizers': ['x/c', 'x/b'], finalizers: ['x/c'] },
    };
    const merged = applyStrategicMerge(
      { metadata: { finalizers: ['x/a', 'x/b'] } },
      patch,
      { ref: 'io.k8s.api.core.v1.Pod' },
      builtinSchemas,
    );
    expect(merged).toEqual({ metadata: { finalizers: ['x/c', 'x/b'] } });
  });

  it('changes neither argument', () => {
    const from = { containers: [{ ...a }] };
    const patch = { containers: [{ name: 'a', image: 'z' }] };
    patchPod(from, patch);
    expect(from).toEqual({ containers: [a] });
    expect(patch).toEqual({ containers: [{ name: 'a', image: 'z' }] });
  });

  it.each([
    [{ containers: [{ image: 'z' }] }, /does not contain declared merge key: name/],
    [{ nodeSelector: { $patch: 'explode' } }, /Unknown patch type found: explode/],
    [{ containers: ['x'] }, /cannot merge/],
  ])('refuses %j', (patch, message) => {
    expect(() => patchPod({ containers: [a], nodeSelector: { a: '1' } }, patch)).toThrow(StrategicMergeError);
    expect(() => patchPod({ containers: [a], nodeSelector: { a: '1' } }, patch)).toThrow(message);
  });
});

describe('JSON merge patch', () => {
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', (target, patch, result) => {
    expect(applyMergePatch(target, patch)).toEqual(result);
  });
});
