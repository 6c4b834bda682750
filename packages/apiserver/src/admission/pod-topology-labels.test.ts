import type { JsonObject } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { admit, createRequest, readerOf } from '../testing/admission-bench.ts';
import { podTopologyLabels } from './pod-topology-labels.ts';

const zone = { 'topology.kubernetes.io/zone': 'a', 'topology.kubernetes.io/region': 'r' };
const plugin = podTopologyLabels(
  readerOf({ '/nodes': [{ metadata: { name: 'n1', labels: { ...zone, 'kubernetes.io/hostname': 'n1' } } }, { metadata: { name: 'n2' } }] }),
);
const binding = (name: string, kind = 'Node'): JsonObject => ({ metadata: { name: 'web', labels: { own: 'x' } }, target: { kind, name } });
const bind = async (object: JsonObject) => (await admit(plugin, createRequest('pods', object, { subresource: 'binding' }))).metadata;

describe('PodTopologyLabels', () => {
  it('hands zone and region of the node on with the binding', async () => {
    expect(await bind(binding('n1'))).toEqual({ name: 'web', labels: { own: 'x', ...zone } });
  });

  it.each<[string, JsonObject]>([
    ['a node without them', binding('n2')],
    ['a node that is not known', binding('n3')],
    ['what is no node', binding('n1', 'Other')],
  ])('leaves a binding to %s as it is', async (_what, object) => {
    expect(await bind(object)).toEqual(object.metadata);
  });

  it('labels a Pod that is made on its node, and none that has no node yet', async () => {
    const make = async (spec: JsonObject) => (await admit(plugin, createRequest('pods', { metadata: { name: 'web' }, spec }))).metadata;
    expect(await make({ nodeName: 'n1' })).toEqual({ name: 'web', labels: zone });
    expect(await make({})).toEqual({ name: 'web' });
  });
});
