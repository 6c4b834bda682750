import { describe, expect, it } from 'vitest';
import { ConfigError, ownAddresses, parseConfig } from './config.ts';

describe('parseConfig', () => {
  it('stands on defaults alone', () => {
    expect(parseConfig([], ['192.0.2.7', '192.0.2.8'])).toMatchObject({
      advertiseAddress: '192.0.2.7',
      host: '0.0.0.0',
      port: 6443,
      podCIDR: '10.42.0.0/16',
      store: 'embedded',
    });
  });

  it('reads an IPv6 address to listen on, and names given more than once', () => {
    expect(parseConfig(['--listen', '[::]:7443', '--server-name', 'a.example', '--server-name', 'b.example'], ['192.0.2.7'])).toMatchObject(
      {
        host: '::',
        port: 7443,
        serverNames: ['a.example', 'b.example'],
      },
    );
  });

  it('reports all faults at once', () => {
    const fault = (() => {
      try {
        parseConfig(['--listen', '6443', '--pod-cidr', '10.42.0.0', '--store', 'floppy', '--node-pod-prefix', '12'], ['192.0.2.7']);
        return undefined;
      } catch (error) {
        return error;
      }
    })();
    expect(fault).toBeInstanceOf(ConfigError);
    expect((fault as ConfigError).message.split('\n')).toHaveLength(4);
  });

  it.each(['127.0.0.1', '127.8.0.1', '::1', 'localhost'])('refuses to advertise %s, which nobody else can reach', (address) => {
    expect(() => parseConfig(['--advertise-address', address], [])).toThrow(/--advertise-address/);
  });

  it('asks for an address where the machine has none but loopback', () => {
    expect(() => parseConfig([], [])).toThrow(/--advertise-address: this machine has loopback addresses only/);
    expect(parseConfig(['--advertise-address', '192.0.2.7'], []).advertiseAddress).toBe('192.0.2.7');
  });

  it('never takes a loopback or link-local address for its own', () => {
    for (const address of ownAddresses()) expect(address).not.toMatch(/^127\.|^::1$|^169\.254\.|^fe80:/i);
  });

  it('reads where an etcd is, and refuses what cannot reach one', () => {
    const parse = (...args: readonly string[]) => parseConfig(args, ['192.0.2.7']);
    const endpoints = ['--store', 'etcd', '--etcd-endpoints', 'https://10.0.0.1:2379,https://[fd00::1]:2379'];
    expect(parse(...endpoints, '--etcd-ca', '/pki/ca.crt', '--etcd-cert', '/pki/c.crt', '--etcd-key', '/pki/c.key').etcd).toEqual({
      endpoints: ['https://10.0.0.1:2379', 'https://[fd00::1]:2379'],
      prefix: '',
      caFile: '/pki/ca.crt',
      certFile: '/pki/c.crt',
      keyFile: '/pki/c.key',
    });
    expect(() => parse('--store', 'etcd')).toThrow(/needs --etcd-endpoints/);
    expect(() => parse(...endpoints, '--etcd-cert', '/pki/c.crt')).toThrow(/--etcd-key/);
    expect(() => parse('--store', 'etcd', '--etcd-endpoints', '10.0.0.1:2379')).toThrow(/expected https:/);
    expect(() => parse('--store', 'etcd', '--etcd-endpoints', 'http://a:1,https://b:2')).toThrow(/either all https or all http/);
    expect(() => parse('--etcd-endpoints', 'https://a:1')).toThrow(/only with --store etcd/);
  });

  it('reads how often history is compacted', () => {
    expect(parseConfig([], ['192.0.2.7']).compactionIntervalMs).toBe(300_000);
    expect(parseConfig(['--etcd-compaction-interval', '1m30s'], ['192.0.2.7']).compactionIntervalMs).toBe(90_000);
    for (const wrong of ['0', '-5m', 'soon'])
      expect(() => parseConfig([`--etcd-compaction-interval=${wrong}`], ['192.0.2.7'])).toThrow(/expected a duration/);
  });

  it('reads how many requests may run at once', () => {
    const parse = (...args: readonly string[]) => parseConfig(args, ['192.0.2.7']).inFlight;
    expect(parse()).toEqual({ readOnly: 400, mutating: 200 });
    expect(parse('--max-requests-inflight', '10', '--max-mutating-requests-inflight', '0')).toEqual({ readOnly: 10, mutating: 0 });
    expect(() => parse('--max-requests-inflight', 'many')).toThrow(/expected a number/);
    expect(() => parse('--max-requests-inflight', '0', '--max-mutating-requests-inflight', '0')).toThrow(/at least one/);
  });

  it('refuses an option that it does not know', () => {
    expect(() => parseConfig(['--etcd-servers', 'x'])).toThrow(ConfigError);
  });

  describe('who is let in', () => {
    const parse = (...args: readonly string[]) => parseConfig(args, ['192.0.2.7']).access;

    it('is by default nodes and roles, with strangers served as anonymous', () => {
      expect(parse()).toMatchObject({
        anonymousAuth: undefined,
        oidc: undefined,
        authorizationModes: ['Node', 'RBAC'],
        audit: undefined,
        encryptionFile: undefined,
        tokenLifetimeMaxS: undefined,
        extendsTokens: true,
      });
    });

    it("is read from upstream's flags", () => {
      const access = parse(
        ...['--anonymous-auth=false', '--oidc-issuer-url', 'https://id.example.com', '--oidc-client-id', 'kube'],
        ...['--oidc-required-claim', 'hd=corp', '--oidc-required-claim', 'a=b=c', '--oidc-signing-algs', 'ES256,RS256'],
        ...['--authentication-token-webhook-config-file', '/etc/tokens', '--authentication-token-webhook-cache-ttl', '1m30s'],
        ...['--authorization-mode', 'Node,Webhook,RBAC', '--authorization-webhook-config-file', '/etc/hook'],
        ...['--audit-policy-file', '/etc/audit.yaml', '--audit-log-path', '/var/log/audit.log', '--audit-log-maxsize', '5'],
        ...['--encryption-provider-config', '/etc/enc.yaml', '--encryption-provider-config-automatic-reload'],
      );
      expect(access).toMatchObject({
        anonymousAuth: false,
        oidc: { requiredClaims: { hd: 'corp', a: 'b=c' }, signingAlgorithms: ['ES256', 'RS256'], usernameClaim: 'sub' },
        tokenWebhook: { file: '/etc/tokens', version: 'v1beta1', cacheTtlMs: 90_000 },
        authorizationModes: ['Node', 'Webhook', 'RBAC'],
        authorizationWebhook: { authorizedTtlMs: 300_000, unauthorizedTtlMs: 30_000 },
        audit: { policyFile: '/etc/audit.yaml', logBytesMax: 5 << 20, logBackupsMax: 100, logAgeMaxDays: 366 },
        encryptionReload: true,
      });
    });

    it.each([
      [['--oidc-client-id', 'kube'], /--oidc-issuer-url and --oidc-client-id: both/],
      [['--oidc-issuer-url', 'http://a', '--oidc-client-id', 'kube'], /expected https:/],
      [['--oidc-issuer-url', 'https://a', '--oidc-client-id', 'k', '--oidc-signing-algs', 'HS256'], /--oidc-signing-algs HS256/],
      [['--oidc-issuer-url', 'https://a', '--oidc-client-id', 'k', '--authentication-config', '/a'], /one of them/],
      [['--authorization-mode', 'RBAC,RBAC'], /named twice/],
      [['--authorization-mode', 'ABAC'], /--authorization-mode ABAC/],
      [['--authorization-mode', 'Webhook'], /--authorization-webhook-config-file: one is of no use/],
      [['--authorization-config', '/a', '--authorization-mode', 'RBAC'], /--authorization-config: says itself/],
      [['--audit-log-path', '/a'], /without --audit-policy-file/],
      [['--audit-policy-file', '/a'], /needs --audit-log-path/],
      [['--anonymous-auth=maybe'], /expected true or false/],
      [['--authentication-token-webhook-config-file', '/a', '--authentication-token-webhook-cache-ttl', '2'], /expected a duration/],
      [['--service-account-max-token-expiration', '10m'], /expected at least 1h/],
      [['--encryption-provider-config-automatic-reload'], /needs --encryption-provider-config/],
    ])('is not read from %j', (args, why) => {
      expect(() => parse(...args)).toThrow(why);
    });
  });
});
