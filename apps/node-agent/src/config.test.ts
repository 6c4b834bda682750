import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from './config.ts';
import { parseJoinToken } from './join-token.ts';

const PIN = 'a'.repeat(64);

function faultsOf(argv: readonly string[]): readonly string[] {
  try {
    parseConfig(argv, {});
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

describe('the agent’s configuration', () => {
  it('has a default for everything but the way in', () => {
    const config = parseConfig(['--node-name', 'pi-1'], {});
    expect(config).toMatchObject({
      command: 'run',
      nodeName: 'pi-1',
      runDir: '/run/dure/pi-1',
      port: 10250,
      clusterDns: ['10.43.0.10'],
      clusterDomain: 'cluster.local',
      podsMax: 110,
      allowHostImage: false,
      joinToken: undefined,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('takes the token from the environment, where no process list shows it', () => {
    const config = parseConfig(['--server', 'https://10.0.0.1:6443'], { DURE_JOIN_TOKEN: `dure1.${PIN}.abcdef.0123456789abcdef` });
    expect(config.joinToken).toEqual({ caPin: `sha256:${PIN}`, bearer: 'abcdef.0123456789abcdef' });
  });

  it('knows the command that removes a node', () => {
    expect(parseConfig(['tear-down', '--node-name', 'n'], {}).command).toBe('tear-down');
  });

  it('reads lists and labels', () => {
    const config = parseConfig(['--node-ip', '10.0.0.2, fd00::2', '--node-labels', 'a=b,example.org/c=d=e'], {});
    expect(config.nodeIPs).toEqual(['10.0.0.2', 'fd00::2']);
    expect(config.labels).toEqual({ a: 'b', 'example.org/c': 'd=e' });
  });

  it('reports all faults at once', () => {
    const faults = faultsOf([
      '--node-ip',
      'here',
      '--server',
      'http://x',
      '--port',
      '70000',
      '--token',
      'abc',
      '--log-level',
      'loud',
      'dance',
    ]);
    expect(faults).toHaveLength(6);
    expect(faults.every((fault) => fault.startsWith('node-agent: '))).toBe(true);
  });

  it('refuses an option that it does not know', () => {
    expect(faultsOf(['--no-such-option', 'x'])[0]).toContain('--no-such-option');
  });
});

describe('a join token', () => {
  it.each<[string, string | undefined, boolean]>([
    [`dure1.${PIN}.abcdef.0123456789abcdef`, undefined, true],
    ['abcdef.0123456789abcdef', `sha256:${PIN}`, true],
    ['abcdef.0123456789abcdef', undefined, false],
    [`dure1.${PIN.slice(1)}.abcdef.0123456789abcdef`, undefined, false],
    ['abcdef.short', `sha256:${PIN}`, false],
  ])('%s with pin %s', (token, pin, good) => {
    expect(parseJoinToken(token, pin) !== undefined).toBe(good);
  });
});
