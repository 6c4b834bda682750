import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock, systemRandom } from '@dure/foundation';
import { type Authority, createAuthority, type Identity, issueCertificate } from '@dure/pki';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANONYMOUS_USER, type UserInfo } from '../contract/user.ts';
import type { NetworkDoor } from '../http/network-door.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';
import { ClusterAuthenticator } from './cluster-authenticator.ts';
import { REMOTE_HEADERS, remoteHeaders, userOfFrontProxy } from './request-header.ts';

const context = { clock: systemClock, random: systemRandom };
const REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

describe('who a front proxy speaks for', () => {
  let server: TestServer;
  let door: NetworkDoor;
  let cluster: Authority;
  let proxies: Authority;
  let serving: Identity;
  let proxy: Identity;

  beforeAll(async () => {
    cluster = await createAuthority({ commonName: 'cluster' }, context);
    proxies = await createAuthority({ commonName: 'proxies' }, context);
    const addresses = { ipAddresses: ['127.0.0.1'] };
    serving = await issueCertificate(cluster, { commonName: 'api', organizations: [], usages: ['server auth'], ...addresses }, context);
    proxy = await issueCertificate(proxies, { commonName: 'front-proxy-client', organizations: [], usages: ['client auth'] }, context);
    server = await startTestServer(new KindRegistry(builtinKinds), {
      authenticator: (reader) =>
        new ClusterAuthenticator({
          serviceAccounts: noTokens,
          reader,
          clock: systemClock,
          audiences: [],
          anonymous: () => ({ enabled: true }),
          tokens: [],
        }),
      authorizer: () => ({
        authorize: async () => ({ decision: 'allow' }),
        rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
      }),
    });
    door = await server.server.listen(
      { host: '127.0.0.1', port: 0 },
      {
        cert: serving.certificatePem,
        key: serving.privateKeyPem,
        clientCa: cluster.certificatePem,
        frontProxyCa: proxies.certificatePem,
      },
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const noTokens = { isOurs: () => false } as never;

  async function whoAmI(identity: { cert: string; key: string } | undefined, headers: Record<string, string | string[]>): Promise<unknown> {
    const agent = new Agent({ connect: { ca: cluster.certificatePem, ...identity } });
    const answer = await request(`https://127.0.0.1:${door.address.port}${REVIEWS}`, {
      method: 'POST',
      dispatcher: agent,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
    });
    const { status } = (await answer.body.json()) as { status: { userInfo: unknown } };
    await agent.destroy();
    return status.userInfo;
  }
  const asProxy = () => ({ cert: proxy.certificatePem, key: proxy.privateKeyPem });
  const jane = { 'x-remote-user': 'jane', 'x-remote-group': ['dev, system:masters', 'ops'], 'x-remote-extra-scopes': ['a', 'b'] };

  it('is whom its headers name, each group by itself', async () => {
    expect(await whoAmI(asProxy(), { ...jane, 'x-remote-uid': '7' })).toEqual({
      username: 'jane',
      uid: '7',
      groups: ['dev, system:masters', 'ops', 'system:authenticated'],
      extra: { scopes: ['a', 'b'] },
    });
  });

  it('is nobody where it names nobody', async () => {
    expect(await whoAmI(asProxy(), {})).toMatchObject({ username: 'system:anonymous' });
  });

  it('stays unknown where the proxy does not know them', async () => {
    const headers = { 'x-remote-user': ANONYMOUS_USER.name, 'x-remote-group': [...ANONYMOUS_USER.groups] };
    expect(await whoAmI(asProxy(), headers)).toMatchObject({ groups: ['system:unauthenticated'] });
  });

  it('is not asked of anybody else: neither of clients, nor of other holders, nor of who only shows the certificate', async () => {
    expect(await whoAmI(undefined, jane)).toMatchObject({ username: 'system:anonymous' });
    const bob = await issueCertificate(cluster, { commonName: 'bob', organizations: [], usages: ['client auth'] }, context);
    expect(await whoAmI({ cert: bob.certificatePem, key: bob.privateKeyPem }, jane)).toMatchObject({ username: 'bob' });
    const both = `${bob.certificatePem}\n${proxy.certificatePem}`;
    expect(await whoAmI({ cert: both, key: bob.privateKeyPem }, jane)).toMatchObject({ username: 'bob' });
    const other = await issueCertificate(
      proxies,
      { commonName: 'admin', organizations: ['system:masters'], usages: ['client auth'] },
      context,
    );
    expect(await whoAmI({ cert: other.certificatePem, key: other.privateKeyPem }, jane)).toMatchObject({ username: 'system:anonymous' });
  });

  it('arrives as it was sent, whatever characters it holds', () => {
    const user: UserInfo = { name: 'zoë', uid: 'u', groups: ['a,b', 'c'], extra: { 'example.org/größe%': ['ß', 'x'] } };
    const sent = Object.entries(remoteHeaders(user)).map(([name, value]): [string, readonly string[]] => [
      name.toLowerCase(),
      typeof value === 'string' ? [value] : value,
    ]);
    const lines = new Map(sent);
    const headers = Object.fromEntries(sent.map(([name, values]) => [name, values.join(', ')]));
    const certificate = { chain: [derOf(proxy)], authorized: false, frontProxy: true };
    expect(userOfFrontProxy({ headers, headerLines: (name) => lines.get(name) ?? [], certificate, remoteAddress: '', path: '/' })).toEqual(
      user,
    );
    expect(Object.keys(headers).every((name) => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name))).toBe(true);
    expect(headers[REMOTE_HEADERS.uid.toLowerCase()]).toBe('u');
  });
});

function derOf({ certificatePem }: Identity): Uint8Array {
  return Buffer.from(certificatePem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}
