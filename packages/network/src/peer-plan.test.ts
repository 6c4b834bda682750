import { describe, expect, it } from 'vitest';
import { type PeerReach, planPeers } from './peer-plan.ts';

const reach = (address: string): PeerReach => {
  if (address === '192.0.2.2') return { kind: 'link', linkIndex: 3, linkName: 'eth0' };
  return address === '198.51.100.3' ? { kind: 'routed' } : { kind: 'none' };
};

describe('the way to peers', () => {
  it('is plain on a shared link, a tunnel over routers, and per pair', () => {
    const plan = planPeers(
      [
        { name: 'near', internalIPs: ['192.0.2.2'], podCIDRs: ['10.42.2.0/24'] },
        { name: 'far', internalIPs: ['fd00::3', '198.51.100.3'], podCIDRs: ['10.42.3.0/24', 'fd42:3::/64'] },
      ],
      reach,
    );
    expect(plan.routes).toEqual([{ destination: '10.42.2.0/24', via: '192.0.2.2', linkIndex: 3, linkName: 'eth0' }]);
    expect(plan.tunnels).toEqual([{ destination: '10.42.3.0/24', via: '10.42.3.1', mac: '0e:64:0a:2a:03:01', remote: '198.51.100.3' }]);
    expect(plan.unreachable).toEqual([]);
  });

  it('is named as missing where there is none', () => {
    const plan = planPeers(
      [
        { name: 'lost', internalIPs: ['203.0.113.9'], podCIDRs: ['10.42.4.0/24'] },
        { name: 'young', internalIPs: [], podCIDRs: [] },
      ],
      reach,
    );
    expect(plan).toEqual({ routes: [], tunnels: [], unreachable: ['lost', 'young'] });
  });
});
