import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigFileError, webhookClient } from '@dure/apiserver';
import { type OidcProvider, startOidcProvider, startReviewServer } from '@dure/apiserver/testing';
import { silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedAccess, openAccess, webhookTarget } from './access-files.ts';
import { parseConfig } from './config.ts';

const API = 'https://kubernetes.default.svc.cluster.local';
const webhooks = webhookClient({ clock: systemClock, random: systemRandom });
let provider: OidcProvider;
let directory: string;
let clock: FakeClock;
let stop: AbortController;
let told: string[];

beforeAll(async () => {
  provider = await startOidcProvider();
});
afterAll(async () => {
  await provider[Symbol.asyncDispose]();
  await webhooks[Symbol.asyncDispose]();
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dure-access-'));
  clock = new FakeClock(systemClock.now());
  stop = new AbortController();
  told = [];
});
afterEach(async () => {
  stop.abort();
  await rm(directory, { recursive: true });
});

async function file(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function open(...args: readonly string[]): Promise<OpenedAccess> {
  const log = { ...silentLogger, info: (message: string) => void told.push(message), error: (message: string) => void told.push(message) };
  return openAccess(parseConfig(args, ['192.0.2.7']).access, { issuer: API, webhooks, clock, log });
}

const authentication = (prefix: string, more: object = {}): object => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AuthenticationConfiguration',
  jwt: [
    {
      issuer: { url: provider.issuer, certificateAuthority: provider.caPem, audiences: ['kubernetes'] },
      claimMappings: { username: { claim: 'sub', prefix } },
    },
  ],
  ...more,
});
const userOf = async ({ tokens }: OpenedAccess): Promise<string | undefined> => {
  const token = await provider.token({}, clock.now());
  return (await tokens[0]?.authenticate(token, [], stop.signal))?.user.name;
};

describe('what the access flags come to', () => {
  it('signs in by an issuer whose authority is a file', async () => {
    const ca = await file('ca.crt', provider.caPem);
    provider.rotate('RS256');
    const flags = [
      '--oidc-issuer-url',
      provider.issuer,
      '--oidc-client-id',
      'kubernetes',
      '--oidc-ca-file',
      ca,
      '--oidc-username-prefix',
      'o:',
    ];
    await using access = await open(...flags);
    expect(await userOf(access)).toBe('o:jane');
    expect(access.anonymous()).toEqual({ enabled: true });
  });

  it('follows a file that is changed, and keeps what was where the change is none', async () => {
    const path = await file('authn.yaml', authentication('a:', { anonymous: { enabled: false } }));
    await using access = await open('--authentication-config', path);
    const following = access.run(stop.signal);
    expect(await userOf(access)).toBe('a:jane');
    expect(access.anonymous()).toEqual({ enabled: false });

    await file('authn.yaml', authentication('b:'));
    await clock.advance(5000);
    await expect.poll(() => told).toEqual(['configuration file was read again']);
    expect(await userOf(access)).toBe('b:jane');
    expect(access.anonymous()).toEqual({ enabled: true });

    await file('authn.yaml', 'kind: [');
    await expect.poll(() => clock.sleeping).toBe(1);
    await clock.advance(5000);
    await expect.poll(() => told.at(-1)).toBe('configuration file cannot be used; what was before stays');
    await expect.poll(() => clock.sleeping).toBe(1);
    await clock.advance(5000);
    expect(await userOf(access)).toBe('b:jane');
    expect(told).toHaveLength(2);
    stop.abort();
    await following;
  });

  it('follows keys of what the store keeps only if asked to', async () => {
    const encryption = (name: string): object => ({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [
        { resources: ['secrets'], providers: [{ aesgcm: { keys: [{ name, secret: Buffer.alloc(32, 1).toString('base64') }] } }] },
      ],
    });
    const nameOf = async (access: OpenedAccess): Promise<string | undefined> => {
      const stored = await access.encryption?.seal('/registry/secrets/default/a', Buffer.from('x'));
      return /v1:(\w+):/.exec(Buffer.from(stored ?? []).toString('latin1'))?.[1];
    };
    const path = await file('enc.yaml', encryption('one'));
    await using still = await open('--encryption-provider-config', path);
    await using followed = await open('--encryption-provider-config', path, '--encryption-provider-config-automatic-reload');
    const following = [still.run(stop.signal), followed.run(stop.signal)];
    expect(await nameOf(followed)).toBe('one');
    await file('enc.yaml', encryption('two'));
    await clock.advance(5000);
    await expect.poll(() => nameOf(followed)).toBe('two');
    expect(await nameOf(still)).toBe('one');
    stop.abort();
    await Promise.all(following);
  });

  it('asks the servers that kubeconfigs describe, and writes what the policy says', async () => {
    await using reviews = await startReviewServer();
    reviews.answer = ({ kind }) =>
      kind === 'TokenReview' ? { status: { authenticated: true, user: { username: 'joe' } } } : { status: { allowed: true } };
    const kubeconfig = await file('hook', {
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: reviews.target.url, 'certificate-authority-data': reviews.target.caBundle } }],
      users: [{ name: 'u', user: { token: 'secret' } }],
    });
    expect(await webhookTarget(kubeconfig)).toMatchObject({ ...reviews.target, credentials: { bearerToken: 'secret' } });
    const policy = await file('policy', { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] });
    const log = join(directory, 'audit.log');
    {
      await using access = await open(
        ...['--authentication-token-webhook-config-file', kubeconfig, '--authorization-mode', 'Webhook'],
        ...['--authorization-webhook-config-file', kubeconfig, '--audit-policy-file', policy, '--audit-log-path', log],
      );
      expect((await access.tokens[1]?.authenticate('t', [], stop.signal))?.user.name).toBe('joe');
      expect(access.authorization()).toMatchObject([{ kind: 'Webhook', webhook: { version: 'v1beta1', timeoutMs: 30_000 } }]);
      const request = { method: 'GET', path: '/version', query: new URLSearchParams(), headers: {}, remoteAddress: '192.0.2.1' } as never;
      access.auditor?.begin(
        { id: '1', request, info: { kind: 'path', path: '/version', verb: 'get' }, receivedMs: 0 },
        { name: 'joe', groups: [] },
      );
    }
    expect(JSON.parse(await readFile(log, 'utf8'))).toMatchObject({ stage: 'RequestReceived', user: { username: 'joe' } });
  });

  it.each([
    ['--authentication-config', 'none', /ENOENT/],
    ['--encryption-provider-config', 'enc', /expected EncryptionConfiguration/],
    ['--authorization-config', 'enc', /expected AuthorizationConfiguration/],
  ])('is refused where the file of %s is %s', async (flag, name, why) => {
    await file('enc', { kind: 'Nothing' });
    const refused = await open(flag, join(directory, name)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConfigFileError);
    expect((refused as Error).message).toMatch(why);
  });
});

it('reads what is said of admission plugins, and the files that it names from beside it', async () => {
  await file('pod-security.yaml', {
    apiVersion: 'pod-security.admission.config.k8s.io/v1',
    kind: 'PodSecurityConfiguration',
    defaults: { enforce: 'baseline' },
  });
  const path = await file('admission.yaml', {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AdmissionConfiguration',
    plugins: [{ name: 'PodSecurity', path: 'pod-security.yaml' }],
  });
  await using opened = await open('--admission-control-config-file', path);
  expect(opened.admission.podSecurity?.defaults.enforce).toEqual({ level: 'baseline', minor: 'latest' });
});
