import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from './config.ts';

describe('the command line', () => {
  it('has a default for everything', () => {
    expect(parseConfig(['--node-name', 'n1'])).toEqual({
      nodeName: 'n1',
      kubeconfig: '/var/lib/dure/nodes/n1/kubeconfig',
      runDir: '/run/dure/n1',
      dnsAddress: '10.43.0.10',
      clusterDomain: 'cluster.local',
      serviceCIDR: '10.43.0.0/16',
      upstreams: undefined,
      healthPort: 10_256,
      drainMs: 2_000,
      logLevel: 'info',
    });
  });

  it('takes upstreams of both families, with and without a port, or none', () => {
    const argv = ['192.0.2.1', '192.0.2.2:5353', 'fd00::1', '[fd00::2]:5353'].flatMap((upstream) => ['--upstream', upstream]);
    expect(parseConfig(argv).upstreams).toEqual([
      { address: '192.0.2.1', port: 53 },
      { address: '192.0.2.2', port: 5353 },
      { address: 'fd00::1', port: 53 },
      { address: 'fd00::2', port: 5353 },
    ]);
    expect(parseConfig(['--upstream', 'none']).upstreams).toEqual([]);
  });

  it('reports all faults at once', () => {
    const faults = [
      '--dns-address',
      'x',
      '--service-cidr',
      '10.0.0.0',
      '--health-port',
      '70000',
      '--upstream',
      'resolver',
      '--log-level',
      'loud',
    ];
    expect(() => parseConfig(faults)).toThrow(ConfigError);
    try {
      parseConfig(faults);
    } catch (error) {
      expect(String(error).split('\n')).toHaveLength(5);
    }
    expect(() => parseConfig(['--unknown'])).toThrow(ConfigError);
  });
});
