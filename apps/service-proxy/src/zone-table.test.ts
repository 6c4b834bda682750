import type { EndpointSlice, Service } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { translateZone } from './zone-table.ts';

const meta = (name: string, labels: Record<string, string> = {}): Service['metadata'] => ({
  name,
  namespace: 'db',
  uid: name,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels,
});
const service = (spec: Service['spec']): Service => ({ apiVersion: 'v1', kind: 'Service', metadata: meta('peers'), spec, status: {} });
const slice = (name: string, port: { name: string; port: number }, endpoints: NonNullable<EndpointSlice['endpoints']>): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: meta(name, { 'kubernetes.io/service-name': 'peers' }),
  addressType: 'IPv4',
  ports: [port],
  endpoints,
});

describe('Services for DNS', () => {
  it('with a cluster IP give it and their ports', () => {
    const zone = translateZone(
      { services: [service({ clusterIP: '10.43.0.5', ports: [{ name: 'sql', port: 5432 }] })], endpointSlices: [] },
      'cluster.local',
    );
    expect(zone).toEqual({
      clusterDomain: 'cluster.local',
      services: [
        { namespace: 'db', name: 'peers', clusterIPs: ['10.43.0.5'], ports: [{ name: 'sql', protocol: 'TCP', port: 5432 }], endpoints: [] },
      ],
    });
  });

  it('without one give each ready endpoint once, with the ports of all its slices', () => {
    const endpointSlices = [
      slice('a', { name: 'sql', port: 5432 }, [
        { addresses: ['10.42.1.7'], hostname: 'db-0' },
        { addresses: ['10.42.1.8'], conditions: { ready: false } },
      ]),
      slice('b', { name: 'admin', port: 9 }, [{ addresses: ['10.42.1.7'], hostname: 'db-0', conditions: { ready: true } }]),
    ];
    const [found] = translateZone({ services: [service({ clusterIP: 'None' })], endpointSlices }, 'cluster.local').services;
    expect(found?.endpoints).toEqual([
      {
        address: '10.42.1.7',
        hostname: 'db-0',
        ports: [
          { name: 'sql', protocol: 'TCP', port: 5432 },
          { name: 'admin', protocol: 'TCP', port: 9 },
        ],
      },
    ]);
  });

  it('that are aliases give the name they stand for', () => {
    const [found] = translateZone(
      { services: [service({ type: 'ExternalName', externalName: 'example.org.' })], endpointSlices: [] },
      'x',
    ).services;
    expect(found).toMatchObject({ externalName: 'example.org', clusterIPs: [] });
  });

  it('that have no address yet have no name either', () => {
    expect(translateZone({ services: [service({ clusterIP: '' })], endpointSlices: [] }, 'x').services).toEqual([]);
  });
});
