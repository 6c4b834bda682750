import { describe, expect, it } from 'vitest';
import { planListeners } from './listener-plan.ts';
import type { ServiceEndpoint, ServiceEntry } from './service-table.ts';

const endpoint: ServiceEndpoint = {
  address: '10.42.1.2',
  port: 8080,
  ready: true,
  serving: true,
  terminating: false,
  local: false,
  zoneHints: [],
};

function service(more: Partial<ServiceEntry> = {}, name = 'web'): ServiceEntry {
  return {
    namespace: 'default',
    name,
    clusterIPs: ['10.43.0.5'],
    externalIPs: [],
    loadBalancerIPs: [],
    ports: [{ id: `default/${name}:`, protocol: 'TCP', port: 80, nodePort: 30_080, endpoints: [endpoint] }],
    sessionAffinitySeconds: 0,
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    ...more,
  };
}
const keys = (...services: readonly ServiceEntry[]): string[] => [...planListeners({ services }).listeners.keys()];

describe('listeners', () => {
  it('stand on the cluster IP in the services namespace and on every address of the node', () => {
    expect(keys(service())).toEqual(['services TCP 10.43.0.5 80', 'node TCP 0.0.0.0 30080', 'node TCP :: 30080']);
  });

  it('stand on external and load balancer addresses of the node, each once', () => {
    const external = service({ externalIPs: ['192.0.2.1'], loadBalancerIPs: ['192.0.2.1', '192.0.2.2'] });
    expect(keys(external).slice(3)).toEqual(['node TCP 192.0.2.1 80', 'node TCP 192.0.2.2 80']);
  });

  it('are missing where nobody could answer', () => {
    const [port] = service().ports;
    expect(keys(service({ ports: port ? [{ ...port, endpoints: [] }] : [] }))).toEqual([]);
    expect(keys(service({ externalTrafficPolicy: 'Local' }))).toEqual(['services TCP 10.43.0.5 80']);
    expect(keys(service({ ports: port ? [{ ...port, protocol: 'SCTP' }] : [] }))).toEqual([]);
  });

  it('that two Services claim belong to the first', () => {
    const plan = planListeners({ services: [service(), service({ clusterIPs: ['10.43.0.6'] }, 'other')] });
    expect(plan.conflicts).toEqual(['node TCP 0.0.0.0 30080', 'node TCP :: 30080']);
    expect(plan.listeners.get('node TCP 0.0.0.0 30080')?.balancerKey).toBe('default/web: TCP external');
    expect(plan.listeners.size).toBe(4);
  });
});
