import { generateKeyPairSync } from 'node:crypto';
import { FakeClock } from '@dure/foundation/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConfigFileError, decodeConfigFile } from '../../config-files/config-file.ts';
import { type OidcProvider, startOidcProvider } from '../../testing/oidc-provider.ts';
import { AUTHENTICATION_CONFIG_KIND, configOfFlags, type OidcFlags, parseAuthenticationConfig } from './authentication-config.ts';
import { JwtAuthentication } from './jwt-authentication.ts';

const API = 'https://kubernetes.default.svc';
const { signal } = new AbortController();
let provider: OidcProvider;
let clock: FakeClock;
let authentication: JwtAuthentication;

beforeAll(async () => {
  provider = await startOidcProvider();
});
afterAll(() => provider[Symbol.asyncDispose]());
beforeEach(() => {
  provider.asked.length = 0;
  provider.down = false;
  provider.discovery = {};
  provider.otherKeys = [];
  provider.rotate('ES256');
  clock = new FakeClock();
  authentication = new JwtAuthentication(clock, [API]);
});
afterEach(() => authentication[Symbol.asyncDispose]());

const token = (claims: Readonly<Record<string, unknown>> = {}): Promise<string> => provider.token(claims, clock.now());
const signIn = async (claims: Readonly<Record<string, unknown>> = {}, audiences: readonly string[] = []) =>
  authentication.authenticate(await token(claims), audiences, signal);
const flags = (more: Partial<OidcFlags> = {}): OidcFlags => ({
  issuerUrl: provider.issuer,
  clientId: 'kubernetes',
  ca: provider.caPem,
  usernameClaim: 'sub',
  usernamePrefix: '',
  groupsClaim: '',
  groupsPrefix: '',
  requiredClaims: {},
  signingAlgorithms: ['ES256'],
  ...more,
});
const configure = (more: Partial<OidcFlags> = {}): void => authentication.configure([configOfFlags(flags(more))]);

/** The body of a file with one issuer. */
function file(jwt: object, more: object = {}): string {
  return JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', jwt: [jwt], ...more });
}
const parse = (text: string) => parseAuthenticationConfig(decodeConfigFile(text, AUTHENTICATION_CONFIG_KIND), [API]);
const issuer = () => ({ url: provider.issuer, certificateAuthority: provider.caPem, audiences: ['kubernetes'] });
const configureFile = (jwt: object): void => authentication.configure(parse(file({ issuer: issuer(), ...jwt })).jwt);
const plainName = { username: { claim: 'sub', prefix: '' } };

describe('ID tokens by flags', () => {
  it('name the user behind the issuer, and groups', async () => {
    configure({ groupsClaim: 'groups', groupsPrefix: 'oidc:' });
    expect(await signIn({ groups: ['a', 'b'] })).toEqual({
      user: { name: `${provider.issuer}#jane`, groups: ['oidc:a', 'oidc:b'] },
      audiences: [API],
    });
    expect((await signIn({ groups: 'one' }))?.user.groups).toEqual(['oidc:one']);
  });

  it.each([
    ['-', 'sub', 'jane'],
    ['corp:', 'sub', 'corp:jane'],
    ['', 'email', 'jane@example.com'],
  ])('with prefix %j and claim %s the name is %s', async (usernamePrefix, usernameClaim, name) => {
    configure({ usernamePrefix, usernameClaim });
    expect((await signIn({ email: 'jane@example.com', email_verified: true }))?.user.name).toBe(name);
  });

  it.each<[string, Record<string, unknown>, Partial<OidcFlags>, RegExp]>([
    ['that is over', { exp: 1 }, {}, /token is expired/],
    ['without an end', { exp: undefined }, {}, /token is expired/],
    ['of the day after tomorrow', { nbf: 4_000_000_000 }, {}, /before the nbf/],
    ['for another client', { aud: ['other', 'third'] }, {}, /expected audience in \["kubernetes"\] got \["other","third"\]/],
    ['without the claim that names', { sub: undefined }, {}, /claim not present/],
    ['with a name that is no text', { sub: 7 }, {}, /not a string/],
    ['with an address that nobody verified', { email: 'a@b', email_verified: false }, { usernameClaim: 'email' }, /email not verified/],
    ['without a required claim', {}, { requiredClaims: { hd: 'corp' } }, /required claim hd not present/],
    ['with another value of it', { hd: 'x' }, { requiredClaims: { hd: 'corp' } }, /Got = x, want = corp/],
    ['with groups of the wrong shape', { groups: { a: 1 } }, { groupsClaim: 'groups' }, /neither a string nor a list/],
    ['of an algorithm that is not asked for', {}, { signingAlgorithms: ['RS256'] }, /unsupported algorithm/],
  ])('refuse a token %s', async (_what, claims, more, why) => {
    configure(more);
    await expect(signIn(claims)).rejects.toThrow(why);
  });

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'])('take signatures by %s', async (algorithm) => {
    provider.rotate(algorithm);
    configure({ signingAlgorithms: [algorithm] });
    expect((await signIn())?.user.name).toBe(`${provider.issuer}#jane`);
  });

  it('leave tokens of others, and questions about other audiences, to others', async () => {
    configure();
    expect(await authentication.authenticate('abcdef.0123456789abcdef', [], signal)).toBeUndefined();
    expect(await signIn({ iss: 'https://elsewhere' })).toBeUndefined();
    expect(await signIn({}, ['vault'])).toBeUndefined();
    expect((await signIn({}, ['vault', API]))?.audiences).toEqual([API]);
  });

  it('know nobody whose token was changed after it was signed', async () => {
    configure();
    const [header, payload = '', signature] = (await token()).split('.');
    const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), sub: 'admin' };
    const changed = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    await expect(authentication.authenticate(changed, [], signal)).rejects.toThrow(/failed to verify signature/);
  });

  it('refuse what is signed by nobody, and by the public key as a secret', async () => {
    configure();
    const [, payload] = (await token()).split('.');
    for (const alg of ['none', 'HS256']) {
      const header = Buffer.from(JSON.stringify({ alg })).toString('base64url');
      await expect(authentication.authenticate(`${header}.${payload}.AA`, [], signal)).rejects.toThrow(/unsupported algorithm/);
    }
  });
});

describe('keys of an issuer', () => {
  it('are fetched once for any number of tokens', async () => {
    configure();
    await Promise.all([signIn(), signIn(), signIn()]);
    await signIn();
    expect(provider.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('are fetched again for a key that is new, but not for each that is made up', async () => {
    configure();
    await signIn();
    provider.rotate();
    await clock.advance(10_000);
    await expect(signIn()).resolves.toBeDefined();
    const fetched = provider.asked.length;
    expect(fetched).toBe(4);
    provider.rotate();
    for (let attempt = 0; attempt < 5; attempt += 1) await expect(signIn()).rejects.toThrow(/no such key/);
    expect(provider.asked).toHaveLength(fetched);
    await clock.advance(10_000);
    await expect(signIn()).resolves.toBeDefined();
  });

  it('stay good while their issuer is away, and are asked for when it comes', async () => {
    configure();
    provider.down = true;
    await expect(signIn()).rejects.toThrow(/fetch keys of .*: GET .*: status 503/);
    provider.down = false;
    await clock.advance(10_000);
    await expect(signIn()).resolves.toBeDefined();
    provider.down = true;
    await clock.advance(60_000);
    await expect(signIn()).resolves.toBeDefined();
  });

  it('are all tried for a token that names none, whatever stands beside them', async () => {
    configure();
    provider.otherKeys = [
      { kty: 'EC', crv: 'P-256', x: 'nonsense' },
      { kty: 'EC', crv: 'P-384', kid: 'other' },
      { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }), kid: 'older' },
      null as never,
    ];
    const nameless = await provider.token({}, clock.now(), { namesKey: false });
    expect((await authentication.authenticate(nameless, [], signal))?.user.name).toBe(`${provider.issuer}#jane`);
  });

  it('are not taken from a document of another issuer', async () => {
    configure();
    provider.discovery = { issuer: 'https://other' };
    await expect(signIn()).rejects.toThrow(/issuer did not match/);
  });

  it('are kept by a configuration that says the same again, and forgotten with their issuer', async () => {
    configure();
    await signIn();
    configure();
    await signIn();
    expect(provider.asked).toHaveLength(2);
    authentication.configure([]);
    expect(await signIn()).toBeUndefined();
  });
});

describe('ID tokens by a configuration file', () => {
  it('become users by expressions', async () => {
    configureFile({
      claimMappings: {
        username: { expression: 'claims.sub + "@" + claims.org' },
        groups: { expression: 'claims.roles.split(",").map(r, "corp:" + r)' },
        uid: { expression: 'string(claims.number)' },
        extra: [
          { key: 'example.com/team', valueExpression: 'claims.team' },
          { key: 'example.com/none', valueExpression: 'claims.?nothing.orValue("")' },
        ],
      },
    });
    expect((await signIn({ org: 'corp', roles: 'a,b', number: 7, team: ['red', 'blue'] }))?.user).toEqual({
      name: 'jane@corp',
      uid: '7',
      groups: ['corp:a', 'corp:b'],
      extra: { 'example.com/team': ['red', 'blue'] },
    });
    await expect(signIn()).rejects.toThrow(/error evaluating username claim expression: no such key: org/);
  });

  it('are held to rules on claims and on the user', async () => {
    configureFile({
      claimMappings: { username: { claim: 'sub', prefix: 'x:' }, groups: { claim: 'groups', prefix: '' } },
      claimValidationRules: [
        { claim: 'hd', requiredValue: 'corp' },
        { expression: 'claims.exp - claims.iat <= 3600', message: 'lives too long' },
      ],
      userValidationRules: [{ expression: "!user.groups.exists(g, g.startsWith('system:'))", message: 'groups are reserved' }],
    });
    expect((await signIn({ hd: 'corp' }))?.user.name).toBe('x:jane');
    await expect(signIn({ hd: 'other' })).rejects.toThrow(/required claim hd value does not match/);
    await expect(signIn({ hd: 'corp', iat: 1 })).rejects.toThrow(/lives too long/);
    await expect(signIn({ hd: 'corp', groups: ['system:masters'] })).rejects.toThrow(/groups are reserved/);
  });

  it('may be for any of several audiences', async () => {
    configureFile({ issuer: { ...issuer(), audiences: ['one', 'two'], audienceMatchPolicy: 'MatchAny' }, claimMappings: plainName });
    await expect(signIn({ aud: ['two', 'three'] })).resolves.toBeDefined();
    await expect(signIn({ aud: 'three' })).rejects.toThrow(/expected audience/);
  });

  it('of two issuers go to their own', async () => {
    await using other = await startOidcProvider();
    const both = { ...issuer(), url: other.issuer, certificateAuthority: other.caPem };
    authentication.configure([
      ...parse(file({ issuer: issuer(), claimMappings: { username: { claim: 'sub', prefix: 'a:' } } })).jwt,
      ...parse(file({ issuer: both, claimMappings: { username: { claim: 'sub', prefix: 'b:' } } })).jwt,
    ]);
    expect((await signIn())?.user.name).toBe('a:jane');
    expect((await authentication.authenticate(await other.token({}, clock.now()), [], signal))?.user.name).toBe('b:jane');
  });

  it('say who is anonymous, and where', () => {
    const { anonymous } = parse(
      file({ issuer: issuer(), claimMappings: plainName }, { anonymous: { enabled: true, conditions: [{ path: '/livez' }] } }),
    );
    expect(anonymous).toEqual({ enabled: true, paths: ['/livez'] });
  });

  it.each<[string, object, string]>([
    ['no issuer', { issuer: {}, claimMappings: plainName }, 'jwt[0].issuer.url: Required value: URL is required'],
    ['plain HTTP', { issuer: { url: 'http://a', audiences: ['x'] }, claimMappings: plainName }, 'URL scheme must be https'],
    ['our own issuer', { issuer: { url: API, audiences: ['x'] }, claimMappings: plainName }, 'must not overlap with disallowed issuers'],
    ['no audience', { issuer: { url: 'https://a' }, claimMappings: plainName }, 'at least one jwt[].issuer.audiences is required'],
    [
      'two audiences without a policy',
      { issuer: { url: 'https://a', audiences: ['x', 'y'] }, claimMappings: plainName },
      'must be MatchAny',
    ],
    ['no prefix', { claimMappings: { username: { claim: 'sub' } } }, 'jwt[0].claimMappings.username.prefix: Required value'],
    ['no username', { claimMappings: {} }, 'jwt[0].claimMappings.username: Required value: claim or expression is required'],
    ['claim and expression', { claimMappings: { username: { claim: 'a', prefix: '', expression: 'claims.a' } } }, "can't both be set"],
    ['an expression that is none', { claimMappings: { username: { expression: 'claims.' } } }, 'compilation failed'],
    ['a rule that is no question', { claimMappings: plainName, claimValidationRules: [{ expression: '"a"' }] }, 'must evaluate to bool'],
    [
      'a field of no user',
      { claimMappings: plainName, userValidationRules: [{ expression: 'user.age > 3' }] },
      'jwt[0].userValidationRules[0].expression',
    ],
    [
      'an address that nobody verified',
      { claimMappings: { username: { expression: 'claims.email' } } },
      'claims.email_verified must be used',
    ],
    [
      'a reserved extra key',
      { claimMappings: { ...plainName, extra: [{ key: 'k8s.io/a', valueExpression: '"a"' }] } },
      'reserved for Kubernetes use',
    ],
    ['a misspelt field', { claimMappings: plainName, clamValidationRules: [] }, 'jwt[0].clamValidationRules: unknown field'],
  ])('are not configured by %s', (_what, jwt, why) => {
    expect(() => configureFile(jwt)).toThrow(ConfigFileError);
    expect(() => configureFile(jwt)).toThrow(why);
  });

  it('keep their configuration where a new one has faults', async () => {
    configureFile({ claimMappings: plainName });
    expect(() => configureFile({ claimMappings: { username: { expression: 'claims.' } } })).toThrow(ConfigFileError);
    expect((await signIn())?.user.name).toBe('jane');
  });
});

describe('what is no token', () => {
  it('never does more than fail', async () => {
    configure();
    const good = await token();
    const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
    let state = seed;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state % below;
    };
    for (let round = 0; round < 500; round += 1) {
      const characters = [...good];
      for (let change = 0; change <= next(4); change += 1) {
        const at = next(characters.length);
        // The last character of a base64url text holds bits that mean nothing, so a change of it alone may change nothing.
        const unchanged = characters[at];
        const into = ['.', '=', 'é', '\0', 'A', '"', '{', ''][next(8)] ?? '';
        characters[at] = into === unchanged || at === characters.length - 1 ? '.' : into;
      }
      const outcome = await authentication.authenticate(characters.join(''), [], signal).then(
        (found) => found,
        (error: unknown) => error,
      );
      expect(outcome === undefined || outcome instanceof Error, `seed ${seed}, round ${round}: ${characters.join('')}`).toBe(true);
    }
  });
});
