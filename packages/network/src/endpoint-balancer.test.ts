import { seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { EndpointBalancer, type TrafficScope, usableEndpoints } from './endpoint-balancer.ts';
import type { ServiceEndpoint } from './service-table.ts';

function endpoint(address: string, more: Partial<ServiceEndpoint> = {}): ServiceEndpoint {
  return { address, port: 80, ready: true, serving: true, terminating: false, local: false, zoneHints: [], ...more };
}
const leaving = { ready: false, serving: true, terminating: true };

describe('usable endpoints', () => {
  interface Case {
    readonly says: string;
    readonly endpoints: readonly ServiceEndpoint[];
    readonly internal?: 'Cluster' | 'Local';
    readonly external?: 'Cluster' | 'Local';
    readonly scope?: TrafficScope;
    readonly zone?: string;
    readonly expected: readonly string[];
  }
  const cases: readonly Case[] = [
    { says: 'are the ready ones', endpoints: [endpoint('a'), endpoint('b', { ready: false, serving: false })], expected: ['a'] },
    { says: 'leave the ending ones out while one is ready', endpoints: [endpoint('a'), endpoint('b', leaving)], expected: ['a'] },
    {
      says: 'are the ending ones that still serve, if none is ready',
      endpoints: [endpoint('a', leaving), endpoint('b', { ...leaving, serving: false })],
      expected: ['a'],
    },
    { says: 'do not include those that never became ready', endpoints: [endpoint('a', { ready: false, serving: false })], expected: [] },
    {
      says: 'are those of this node with policy Local',
      endpoints: [endpoint('a', { local: true }), endpoint('b')],
      internal: 'Local',
      expected: ['a'],
    },
    { says: 'are none with policy Local and none here', endpoints: [endpoint('b')], internal: 'Local', expected: [] },
    {
      says: 'obey the policy of their scope',
      endpoints: [endpoint('a', { local: true }), endpoint('b')],
      external: 'Local',
      expected: ['a', 'b'],
    },
    {
      says: 'obey the external policy from outside',
      endpoints: [endpoint('a', { local: true }), endpoint('b')],
      external: 'Local',
      scope: 'external',
      expected: ['a'],
    },
    {
      says: 'are those for the zone',
      endpoints: [endpoint('a', { zoneHints: ['x'] }), endpoint('b', { zoneHints: ['y'] })],
      zone: 'x',
      expected: ['a'],
    },
    {
      says: 'are all if one has no hint',
      endpoints: [endpoint('a', { zoneHints: ['x'] }), endpoint('b')],
      zone: 'x',
      expected: ['a', 'b'],
    },
    { says: 'are all if none is for the zone', endpoints: [endpoint('b', { zoneHints: ['y'] })], zone: 'x', expected: ['b'] },
  ];
  it.each(cases)('$says', ({ endpoints, internal = 'Cluster', external = 'Cluster', scope = 'internal', zone, expected }) => {
    const service = { internalTrafficPolicy: internal, externalTrafficPolicy: external };
    expect(usableEndpoints(service, { endpoints }, scope, zone).map(({ address }) => address)).toEqual(expected);
  });
});

describe('a balancer', () => {
  const three = [endpoint('a'), endpoint('b'), endpoint('c')];
  const made = (affinitySeconds = 0): EndpointBalancer => {
    const balancer = new EndpointBalancer(seededRandom(1));
    balancer.update(three, affinitySeconds);
    return balancer;
  };

  it('gives each endpoint its turn', () => {
    const balancer = made();
    const turns = Array.from({ length: 9 }, () => balancer.choose('client', 0)?.address);
    expect(turns.slice(3)).toEqual([...turns.slice(0, 3), ...turns.slice(0, 3)]);
    expect(new Set(turns).size).toBe(3);
  });

  it('does not start over when the endpoints are told again', () => {
    const balancer = made();
    const seen = new Set<string | undefined>();
    for (let turn = 0; turn < 3; turn += 1) {
      seen.add(balancer.choose('client', 0)?.address);
      balancer.update([...three], 0);
    }
    expect(seen.size).toBe(3);
  });

  it('skips what was tried, until nothing is left', () => {
    const balancer = made();
    const tried = new Set<string>();
    for (let turn = 0; turn < 3; turn += 1) tried.add(`${balancer.choose('client', 0, tried)?.address} 80`);
    expect(tried.size).toBe(3);
    expect(balancer.choose('client', 0, tried)).toBeUndefined();
  });

  it('keeps a client where it was until the time is over, and moves it when that endpoint fails or goes', () => {
    const balancer = made(10);
    const first = balancer.choose('client', 0);
    expect(balancer.choose('client', 9_000)).toBe(first);
    // Each use begins the time anew.
    expect(balancer.choose('client', 18_000)).toBe(first);
    const second = balancer.choose('client', 18_000, new Set([`${first?.address} 80`]));
    expect(second).not.toBe(first);
    expect(balancer.choose('client', 19_000)).toBe(second);
    balancer.update(
      three.filter((each) => each !== second),
      10,
    );
    expect(balancer.choose('client', 19_500)).not.toBe(second);
  });

  it('forgets the oldest clients rather than growing', () => {
    const balancer = made(1_000);
    const first = balancer.choose('client 0', 0);
    for (let client = 1; client <= 16_384; client += 1) balancer.choose(`client ${client}`, 0);
    // 16385 turns over three endpoints end elsewhere: a client that were remembered would be back at its first.
    expect(balancer.choose('client 0', 1)).not.toBe(first);
  });
});
