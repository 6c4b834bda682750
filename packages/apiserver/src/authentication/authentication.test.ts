import { generateKeyPairSync } from 'node:crypto';
import type { KubeObject } from '@dure/api';
import { seededRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Credentials } from '../contract/authenticator.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { ClusterAuthenticator } from './cluster-authenticator.ts';
import { legacyTokenSigner } from './legacy-token.ts';
import { ServiceAccountAuthenticator } from './service-account-authenticator.ts';
import { ServiceAccountIssuer } from './service-account-issuer.ts';
import { type SigningKey, signingKeyOf } from './service-account-keys.ts';

const issuer = 'https://kubernetes.default.svc.cluster.local';

function newKey(): SigningKey {
  return signingKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
}

function object(kind: string, name: string, more: Readonly<Record<string, unknown>> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '' },
    ...more,
  } as KubeObject;
}

const objects = new Map<string, KubeObject>();
const reader: ObjectReader = {
  get: async (_group, resource, namespace, name) => objects.get(`${resource}/${namespace ?? ''}/${name}`),
  list: async () => [],
  peek: () => undefined,
  revisionOf: () => 0,
};

const clock = new FakeClock();
const { signal } = new AbortController();
const key = newKey();
const tokens = new ServiceAccountIssuer({ issuer, audiences: [issuer], key, reader, clock, random: seededRandom(1) });
const authenticator = new ClusterAuthenticator({
  serviceAccounts: new ServiceAccountAuthenticator({ issuers: [issuer], audiences: [issuer], keys: [key], reader, clock }),
  reader,
  clock,
  audiences: [issuer],
  anonymous: () => ({ enabled: true }),
  tokens: [],
});
const account = object('ServiceAccount', 'web');
const admin = { name: 'admin', groups: [] };

beforeEach(() => {
  objects.clear();
  objects.set('serviceaccounts/default/web', account);
  objects.set('pods/default/web-0', object('Pod', 'web-0', { spec: { nodeName: 'node-1' } }));
  objects.set('nodes//node-1', object('Node', 'node-1'));
});

const signIn = (token: string) =>
  authenticator.authenticate(
    { headers: { authorization: `Bearer ${token}` }, remoteAddress: '127.0.0.1', path: '/' } as Credentials,
    signal,
  );
const warnings: string[] = [];
const request = (from: ServiceAccountIssuer, spec: Record<string, unknown>) =>
  from.issue(account, { spec } as never, admin, signal, (message) => void warnings.push(message));
const issue = async (spec: Record<string, unknown> = {}, from = tokens) =>
  (await request(from, spec)).status as { token: string; expirationTimestamp: string };
const boundToPod = { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web-0', uid: 'uid-web-0' } };

describe('ServiceAccount tokens', () => {
  it('name the account, its groups, and the Pod and Node they are bound to', async () => {
    const signedIn = await signIn((await issue(boundToPod)).token);
    expect(signedIn?.user).toMatchObject({
      name: 'system:serviceaccount:default:web',
      uid: 'uid-web',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/pod-name': ['web-0'], 'authentication.kubernetes.io/node-name': ['node-1'] },
    });
    expect(signedIn?.audiences).toEqual([issuer]);
  });

  it('end with their time', async () => {
    const { token, expirationTimestamp } = await issue({ expirationSeconds: 600 });
    expect(Date.parse(expirationTimestamp) - clock.now()).toBe(600_000);
    await clock.advance(599_000);
    await expect(signIn(token)).resolves.toBeDefined();
    await clock.advance(30_000);
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
  });

  it('end with the account and with the Pod, and with one of the same name', async () => {
    const { token } = await issue(boundToPod);
    objects.set('pods/default/web-0', object('Pod', 'web-0', { metadata: { name: 'web-0', uid: 'another' } }));
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
    objects.set('pods/default/web-0', object('Pod', 'web-0'));
    await expect(signIn(token)).resolves.toBeDefined();
    objects.delete('serviceaccounts/default/web');
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
  });

  it('open nothing when meant for another audience or signed by another key', async () => {
    await expect(signIn((await issue({ audiences: ['vault'] })).token)).rejects.toMatchObject({ status: { code: 401 } });
    const forged = new ServiceAccountIssuer({ issuer, audiences: [issuer], key: newKey(), reader, clock, random: seededRandom(2) });
    const { token } = await issue({}, forged);
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
    expect(await authenticator.reviewToken((await issue({ audiences: ['vault'] })).token, ['vault'], signal)).toMatchObject({
      authenticated: { audiences: ['vault'] },
    });
  });

  it('that a volume asks for live longer than they say, if they are for this server', async () => {
    const volume = { ...boundToPod, expirationSeconds: 3607 };
    const { token, expirationTimestamp } = await issue(volume);
    expect(Date.parse(expirationTimestamp) - clock.now()).toBe(3_607_000);
    const other = (await issue({ ...volume, audiences: ['vault'] })).token;
    await clock.advance(4_000_000);
    await expect(signIn(token)).resolves.toBeDefined();
    expect((await authenticator.reviewToken(other, ['vault'], signal)).error).toContain('exp');
  });

  it('live no longer than the server lets them, and say so', async () => {
    const options = { issuer, audiences: [issuer], key, reader, clock, random: seededRandom(3), lifetimeMaxS: 1200, extends: false };
    warnings.length = 0;
    const issued = await request(new ServiceAccountIssuer(options), { ...boundToPod, expirationSeconds: 3607 });
    expect(issued).toMatchObject({ spec: { expirationSeconds: 1200, audiences: [issuer] } });
    expect(warnings).toEqual(['requested expiration of 3607 seconds shortened to 1200 seconds']);
    const { token } = issued.status as { token: string };
    await clock.advance(1_190_000);
    await expect(signIn(token)).resolves.toBeDefined();
    await clock.advance(30_000);
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
  });

  it('are refused below ten minutes, and for a Pod that is not the one meant', async () => {
    await expect(issue({ expirationSeconds: 599 })).rejects.toMatchObject({ status: { reason: 'Invalid' } });
    await expect(issue({ boundObjectRef: { ...boundToPod.boundObjectRef, uid: 'old' } })).rejects.toMatchObject({
      status: { reason: 'Conflict' },
    });
    await expect(issue({ boundObjectRef: { ...boundToPod.boundObjectRef, name: 'gone' } })).rejects.toMatchObject({
      status: { reason: 'NotFound' },
    });
  });
});

describe('tokens that lie in Secrets', () => {
  const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const claims = { namespace: 'default', secretName: 'web-token', serviceAccount: { name: 'web', uid: 'uid-web' } };
  const put = (token: string, metadata: object = {}): void => {
    const secret = object('Secret', 'web-token', { data: { token: Buffer.from(token).toString('base64') } });
    objects.set('secrets/default/web-token', { ...secret, metadata: { ...secret.metadata, ...metadata } });
  };

  it('name the account, for this server only', async () => {
    const token = await legacyTokenSigner(pem)(claims);
    put(token);
    expect(await signIn(token)).toEqual({
      user: {
        name: 'system:serviceaccount:default:web',
        uid: 'uid-web',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      },
      audiences: [issuer],
    });
    expect(await authenticator.reviewToken(token, ['vault'], signal)).toMatchObject({ error: expect.stringContaining('audiences') });
  });

  it.each<[string, () => void, Record<string, unknown>]>([
    ['their Secret is gone', () => objects.delete('secrets/default/web-token'), {}],
    ['it holds another', () => put('another'), {}],
    ['it is being deleted', () => undefined, { deletionTimestamp: '2026-01-01T00:00:00Z' }],
    ['nobody used it for long', () => undefined, { labels: { 'kubernetes.io/legacy-token-invalid-since': '2026-01-01' } }],
    [
      'the account is another of the same name',
      () => objects.set('serviceaccounts/default/web', object('ServiceAccount', 'web', { metadata: { uid: 'b' } })),
      {},
    ],
  ])('open nothing where %s', async (_why, change, metadata) => {
    const token = await legacyTokenSigner(pem)(claims);
    put(token, metadata);
    change();
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
  });

  it('open nothing where they are signed by another key', async () => {
    const token = await legacyTokenSigner(newKey().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())(claims);
    put(token);
    await expect(signIn(token)).rejects.toMatchObject({ status: { code: 401 } });
  });
});

describe('bootstrap tokens', () => {
  const put = (fields: Readonly<Record<string, string>>) =>
    objects.set(
      'secrets/kube-system/bootstrap-token-abcdef',
      object('Secret', 'bootstrap-token-abcdef', {
        type: 'bootstrap.kubernetes.io/token',
        data: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
      }),
    );
  const good = { 'token-id': 'abcdef', 'token-secret': '0123456789abcdef', 'usage-bootstrap-authentication': 'true' };

  it('name a bootstrapper', async () => {
    put({ ...good, 'auth-extra-groups': 'system:bootstrappers:worker,system:masters' });
    expect((await signIn('abcdef.0123456789abcdef'))?.user).toEqual({
      name: 'system:bootstrap:abcdef',
      groups: ['system:bootstrappers', 'system:bootstrappers:worker', 'system:authenticated'],
    });
  });

  it.each([
    ['a wrong secret', { ...good, 'token-secret': 'fedcba9876543210' }],
    ['another use', { ...good, 'usage-bootstrap-authentication': 'false' }],
    ['a time that is over', { ...good, expiration: '2025-12-31T00:00:00Z' }],
    ['a time that cannot be read', { ...good, expiration: 'soon' }],
  ])('are refused with %s', async (_why, fields) => {
    put(fields);
    await expect(signIn('abcdef.0123456789abcdef')).rejects.toMatchObject({ status: { code: 401 } });
  });
});

describe('other credentials', () => {
  it('make nobody of a bad token, and anonymous of none', async () => {
    await expect(signIn('nonsense')).rejects.toMatchObject({ status: { code: 401 } });
    expect((await authenticator.authenticate({ headers: {}, remoteAddress: '127.0.0.1', path: '/' }, signal))?.user.name).toBe(
      'system:anonymous',
    );
  });

  it('take a token from a WebSocket sub-protocol', async () => {
    const { token } = await issue();
    const protocol = `v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;
    const signedIn = await authenticator.authenticate(
      {
        headers: { 'sec-websocket-protocol': protocol },
        remoteAddress: '127.0.0.1',
        path: '/',
      },
      signal,
    );
    expect(signedIn?.user.name).toBe('system:serviceaccount:default:web');
  });

  it('ignore a certificate that is not of our authority', async () => {
    const certificate = { chain: [new Uint8Array([1, 2, 3])], authorized: false };
    expect((await authenticator.authenticate({ headers: {}, certificate, remoteAddress: '127.0.0.1', path: '/' }, signal))?.user.name).toBe(
      'system:anonymous',
    );
  });
});

describe('what is no token', () => {
  it('is answered Unauthorized, however it is made', async () => {
    const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const legacy = await legacyTokenSigner(key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())({
      namespace: 'default',
      secretName: 'web-token',
      serviceAccount: { name: 'web', uid: 'uid-web' },
    });
    const good = [(await issue(boundToPod)).token, legacy, 'abcdef.0123456789abcdef'];
    for (let round = 0; round < 600; round += 1) {
      const characters = [...(good[round % good.length] ?? '')];
      for (let change = random.integer(4); change >= 0; change -= 1) {
        // The last character of a signature holds bits that mean nothing, so a change of it alone may change nothing.
        const at = random.integer(characters.length - 1);
        const into = ['.', '=', '\0', 'A', '"', '{', 'eyJ', '', 'é'][random.integer(9)] ?? '';
        characters[at] = characters[at] === into ? '.' : into;
      }
      const token = characters.join('');
      // Two changes of one place may undo each other.
      if (good.includes(token)) continue;
      const outcome = await signIn(token).catch((error: unknown) => error);
      const status = (outcome as { status?: { code: number } } | undefined)?.status?.code;
      // A token with white space within is no bearer token at all; nothing was shown then.
      const isAnonymous = (outcome as { user?: { name: string } } | undefined)?.user?.name === 'system:anonymous';
      expect(status === 401 || (isAnonymous && !/^\S+$/.test(token)), `seed ${seed}, round ${round}: ${JSON.stringify(token)}`).toBe(true);
    }
  });
});
