import { describe, expect, it } from 'vitest';
import { parseDroppingChains } from './nftables.ts';
import { type HostPort, renderNftables } from './nftables-plan.ts';

const state = {
  nodeName: 'n1',
  podCIDR: '10.42.1.0/24',
  unmasqueraded: ['10.42.0.0/16', '10.43.0.0/16'],
  linkPrefix: 'dr123456',
  hostPorts: [],
};
const port = (more: Partial<HostPort>): HostPort => ({ protocol: 'TCP', hostPort: 8080, containerPort: 80, podIP: '10.42.1.5', ...more });

describe('the nftables table of a node', () => {
  it('replaces itself in one transaction', () => {
    expect(renderNftables(state).split('\n').slice(0, 3)).toEqual(['table ip dure-n1', 'delete table ip dure-n1', 'table ip dure-n1 {']);
  });

  it('masquerades what Pods send outside, and nothing else', () => {
    expect(renderNftables(state)).toContain(
      'ip saddr 10.42.1.0/24 ip daddr != { 10.42.0.0/16, 10.43.0.0/16, 224.0.0.0/4 } oifname != "dr123456*" masquerade fully-random',
    );
  });

  it('keeps ports of one address apart from those of all', () => {
    const text = renderNftables({
      ...state,
      hostPorts: [port({}), port({ hostIP: '192.0.2.7', protocol: 'UDP' }), port({ hostIP: '0.0.0.0', hostPort: 1 })],
    });
    expect(text).toContain('elements = { tcp . 8080 : 10.42.1.5 . 80, tcp . 1 : 10.42.1.5 . 80 }');
    expect(text).toContain('elements = { 192.0.2.7 . udp . 8080 : 10.42.1.5 . 80 }');
  });

  it('leaves a port with the Pod that had it first', () => {
    const text = renderNftables({ ...state, hostPorts: [port({}), port({ podIP: '10.42.1.6' })] });
    expect(text).toContain('elements = { tcp . 8080 : 10.42.1.5 . 80 }');
  });
});

describe("other people's firewalls", () => {
  it('are named when they drop what is forwarded', () => {
    const chain = (more: object): object => ({
      chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy: 'drop', ...more },
    });
    const listing = {
      nftables: [
        { metainfo: {} },
        chain({}),
        chain({ policy: 'accept' }),
        chain({ hook: 'input' }),
        chain({ family: 'bridge' }),
        chain({ hook: undefined }),
      ],
    };
    expect(parseDroppingChains(JSON.stringify(listing))).toEqual(['ip filter FORWARD']);
  });
});
