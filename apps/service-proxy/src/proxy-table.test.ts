import type { Endpoint, EndpointSlice, Service } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { translateServices } from './proxy-table.ts';

type ServiceSpec = Service['spec'];
const meta = (name: string, labels: Record<string, string> = {}): Service['metadata'] => ({
  name,
  namespace: 'default',
  uid: name,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels,
});

function service(spec: Partial<ServiceSpec> = {}, status: Service['status'] = {}, labels?: Record<string, string>): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta('web', labels),
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.43.0.5',
      clusterIPs: ['10.43.0.5'],
      ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
      ...spec,
    },
    status,
  };
}

function slice(endpoints: readonly Endpoint[], more: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: meta('web-1', { 'kubernetes.io/service-name': 'web' }),
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints,
    ...more,
  };
}

const context = { nodeName: 'n1', reserved: new Set<string>() };
const one = (spec: Partial<ServiceSpec>, ...slices: EndpointSlice[]) =>
  translateServices({ services: [service(spec)], endpointSlices: slices }, context).services[0];

describe('Services for the proxy', () => {
  it('take their endpoints from the slices that name them, by the name of the port', () => {
    const other = slice([{ addresses: ['10.42.9.9'] }], { metadata: meta('other-1', { 'kubernetes.io/service-name': 'other' }) });
    const entry = one({}, slice([{ addresses: ['10.42.1.2'], nodeName: 'n1', conditions: { ready: true } }]), other);
    expect(entry?.ports).toEqual([
      {
        id: 'default/web:http',
        protocol: 'TCP',
        port: 80,
        nodePort: 0,
        endpoints: [{ address: '10.42.1.2', port: 8080, ready: true, serving: true, terminating: false, local: true, zoneHints: [] }],
      },
    ]);
  });

  it('read absent conditions as upstream does', () => {
    const entry = one(
      {},
      slice([
        { addresses: ['10.42.1.2'], nodeName: 'n2' },
        { addresses: ['10.42.1.3'], conditions: { ready: false, terminating: true, serving: true } },
      ]),
    );
    expect(entry?.ports[0]?.endpoints).toMatchObject([
      { ready: true, serving: true, terminating: false, local: false },
      { ready: false, serving: true, terminating: true },
    ]);
  });

  it('count an endpoint in two slices once, in its better state', () => {
    const entry = one(
      {},
      slice([{ addresses: ['10.42.1.2'], conditions: { ready: false } }]),
      slice([{ addresses: ['10.42.1.2'], conditions: { ready: true } }]),
    );
    expect(entry?.ports[0]?.endpoints).toMatchObject([{ ready: true }]);
  });

  it('skip slices of the other family, and ports of another name', () => {
    const wrongFamily = slice([{ addresses: ['fd42::2'] }], { addressType: 'IPv6' });
    const wrongPort = slice([{ addresses: ['10.42.1.2'] }], { ports: [{ name: 'admin', port: 9 }] });
    expect(one({}, wrongFamily, wrongPort)?.ports[0]?.endpoints).toEqual([]);
  });

  it.each([
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }],
    ['an alias', { type: 'ExternalName' as const, externalName: 'example.org', clusterIP: '' }],
    ['without an address yet', { clusterIP: '', clusterIPs: [] }],
  ])('are left out when %s', (_, spec) => {
    expect(one(spec)).toBeUndefined();
  });

  it.each([
    ['another proxy has them', { 'service.kubernetes.io/service-proxy-name': 'mesh' }],
    ['they want none', { 'service.kubernetes.io/headless': '' }],
  ])('are left out when %s', (_, labels) => {
    const labelled = service({}, {}, labels);
    expect(translateServices({ services: [labelled], endpointSlices: [] }, context).services).toEqual([]);
  });

  it('take no endpoints from slices that want no proxy', () => {
    const labels = { 'kubernetes.io/service-name': 'web', 'service.kubernetes.io/headless': '' };
    expect(one({}, slice([{ addresses: ['10.42.1.2'] }], { metadata: meta('web-2', labels) }))?.ports[0]?.endpoints).toEqual([]);
  });

  it('carry affinity, policies, node ports and outside addresses over', () => {
    const entry = translateServices(
      {
        services: [
          service(
            {
              type: 'LoadBalancer',
              ports: [{ name: 'http', port: 80, nodePort: 30_080 }],
              externalIPs: ['192.0.2.1'],
              sessionAffinity: 'ClientIP',
              externalTrafficPolicy: 'Local',
              internalTrafficPolicy: 'Local',
            },
            { loadBalancer: { ingress: [{ ip: '192.0.2.2' }, { hostname: 'lb' }, { ip: '192.0.2.3', ipMode: 'Proxy' }] } },
          ),
        ],
        endpointSlices: [],
      },
      context,
    ).services[0];
    expect(entry).toMatchObject({
      externalIPs: ['192.0.2.1'],
      loadBalancerIPs: ['192.0.2.2'],
      sessionAffinitySeconds: 10_800,
      internalTrafficPolicy: 'Local',
      externalTrafficPolicy: 'Local',
      ports: [{ protocol: 'TCP', nodePort: 30_080 }],
    });
  });

  it('leave out the port that this process answers itself', () => {
    const reserved = new Set(['10.43.0.5:80']);
    expect(translateServices({ services: [service()], endpointSlices: [] }, { ...context, reserved }).services[0]?.ports).toEqual([]);
  });
});
