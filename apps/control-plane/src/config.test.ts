import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from './config.ts';

describe('parseConfig', () => {
  it('stands on defaults alone', () => {
    expect(parseConfig([])).toMatchObject({ host: '0.0.0.0', port: 6443, podCIDR: '10.42.0.0/16', store: 'embedded' });
  });

  it('reads an IPv6 address to listen on, and names given more than once', () => {
    expect(parseConfig(['--listen', '[::]:7443', '--server-name', 'a.example', '--server-name', 'b.example'])).toMatchObject({
      host: '::',
      port: 7443,
      serverNames: ['a.example', 'b.example'],
    });
  });

  it('reports all faults at once', () => {
    const fault = (() => {
      try {
        parseConfig(['--listen', '6443', '--pod-cidr', '10.42.0.0', '--store', 'floppy', '--node-pod-prefix', '12']);
        return undefined;
      } catch (error) {
        return error;
      }
    })();
    expect(fault).toBeInstanceOf(ConfigError);
    expect((fault as ConfigError).message.split('\n')).toHaveLength(4);
  });

  it('refuses an option that it does not know', () => {
    expect(() => parseConfig(['--etcd-servers', 'x'])).toThrow(ConfigError);
  });
});
