import type { Pod, PodSpec } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { parseResolvConf, renderResolvConf, resolverOf } from './resolv-conf.ts';

const node = { nameservers: ['192.0.2.53'], searches: ['example.org'], options: ['timeout:2'] };
const cluster = { nameservers: ['10.43.0.10'], domain: 'cluster.local' };

function pod(spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [], ...spec },
    status: {},
  };
}

const clusterFirst = 'search shop.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.43.0.10\noptions ndots:5\n';
const ofNode = 'search example.org\nnameserver 192.0.2.53\noptions timeout:2\n';

describe('the resolver configuration of a pod', () => {
  it.each<[string, Partial<PodSpec>, string]>([
    ['asks the cluster first', { dnsPolicy: 'ClusterFirst' }, clusterFirst],
    ['is the node’s with the host’s network', { dnsPolicy: 'ClusterFirst', hostNetwork: true }, ofNode],
    ['asks the cluster with the host’s network when told to', { dnsPolicy: 'ClusterFirstWithHostNet', hostNetwork: true }, clusterFirst],
    ['is the node’s by Default', { dnsPolicy: 'Default' }, ofNode],
    [
      'is only what the Pod says with None',
      {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['1.1.1.1'], searches: ['my.dom'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] },
      },
      'search my.dom\nnameserver 1.1.1.1\noptions ndots:2 edns0\n',
    ],
    [
      'adds what the Pod says, its options winning',
      {
        dnsPolicy: 'Default',
        dnsConfig: { nameservers: ['192.0.2.53', '8.8.8.8'], searches: ['more'], options: [{ name: 'timeout', value: '9' }] },
      },
      'search example.org more\nnameserver 192.0.2.53\nnameserver 8.8.8.8\noptions timeout:9\n',
    ],
  ])('%s', (_title, spec, expected) => {
    expect(renderResolvConf(resolverOf(pod(spec), cluster, node))).toBe(expected);
  });

  it('never names more than three servers', () => {
    const dnsConfig = { nameservers: ['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4'] };
    expect(resolverOf(pod({ dnsPolicy: 'Default', dnsConfig }), cluster, node).nameservers).toEqual(['192.0.2.53', '1.1.1.1', '2.2.2.2']);
  });

  it('reads comments, several option lines and the last search line', () => {
    const text = '# made by hand\nsearch a b\nnameserver 1.1.1.1 ; first\nsearch c\noptions ndots:1\noptions rotate\n';
    expect(parseResolvConf(text)).toEqual({ nameservers: ['1.1.1.1'], searches: ['c'], options: ['ndots:1', 'rotate'] });
  });
});
