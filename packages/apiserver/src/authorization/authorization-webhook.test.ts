import { systemClock, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConfigFileError } from '../config-files/config-file.ts';
import { type WebhookClient, webhookClient } from '../connect/webhook-client.ts';
import type { AuthorizationQuery } from '../contract/authorizer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type ReviewServer, startReviewServer } from '../testing/review-server.ts';
import { type AuthorizationConfig, parseAuthorizationConfig } from './authorization-config.ts';
import { ConfiguredAuthorizer } from './configured-authorizer.ts';

const { signal } = new AbortController();
const reader: ObjectReader = { get: async () => undefined, list: async () => [], peek: () => undefined, revisionOf: () => 0 };
let reviews: ReviewServer;
let client: WebhookClient;
let clock: FakeClock;
let config: AuthorizationConfig;
let authorizer: ConfiguredAuthorizer;

beforeAll(async () => {
  reviews = await startReviewServer();
  client = webhookClient({ clock: systemClock, random: systemRandom });
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await reviews[Symbol.asyncDispose]();
});
beforeEach(() => {
  reviews.sent.length = 0;
  reviews.answer = () => ({ status: { allowed: true } });
  clock = new FakeClock();
  authorizer = new ConfiguredAuthorizer({ config: () => config, reader, client, clock });
});

const webhook = (more: object = {}): object => ({
  type: 'Webhook',
  name: 'hook.example.com',
  webhook: {
    timeout: '3s',
    subjectAccessReviewVersion: 'v1',
    failurePolicy: 'NoOpinion',
    connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/etc/hook' },
    ...more,
  },
});
const file = (...authorizers: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration', authorizers });
const parse = (...authorizers: readonly object[]) => parseAuthorizationConfig(file(...authorizers), async () => reviews.target);
const matchConditions = (...expressions: readonly string[]) => ({
  matchConditionSubjectAccessReviewVersion: 'v1',
  matchConditions: expressions.map((expression) => ({ expression })),
});
const user = { name: 'jane', groups: ['a', 'b'], extra: { 'example.com/x': ['1'] } };
const getPod: AuthorizationQuery = {
  user,
  kind: 'resource',
  verb: 'get',
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: '',
  namespace: 'default',
  name: 'web',
};

describe('an authorization webhook', () => {
  it('is sent a SubjectAccessReview of what is asked', async () => {
    config = await parse(webhook());
    await authorizer.authorize(getPod, signal);
    await authorizer.authorize({ user, kind: 'path', verb: 'get', path: '/version' }, signal);
    await authorizer.authorize(
      { ...getPod, verb: 'list', name: '', fieldSelector: 'spec.nodeName=n1', labelSelector: 'app in (b,a),!old' },
      signal,
    );
    const subject = { user: 'jane', groups: ['a', 'b'], extra: { 'example.com/x': ['1'] } };
    expect(reviews.sent.map(({ spec }) => spec)).toEqual([
      { ...subject, resourceAttributes: { namespace: 'default', verb: 'get', version: 'v1', resource: 'pods', name: 'web' } },
      { ...subject, nonResourceAttributes: { path: '/version', verb: 'get' } },
      {
        ...subject,
        resourceAttributes: {
          namespace: 'default',
          verb: 'list',
          version: 'v1',
          resource: 'pods',
          fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n1'] }] },
          labelSelector: {
            requirements: [
              { key: 'app', operator: 'In', values: ['a', 'b'] },
              { key: 'old', operator: 'DoesNotExist' },
            ],
          },
        },
      },
    ]);
    expect(reviews.sent[0]).toMatchObject({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview' });
  });

  it('of the older version finds the groups under their older name', async () => {
    config = await parse(webhook({ subjectAccessReviewVersion: 'v1beta1' }));
    await authorizer.authorize(getPod, signal);
    expect(reviews.sent[0]).toMatchObject({ apiVersion: 'authorization.k8s.io/v1beta1', spec: { group: ['a', 'b'] } });
    expect(reviews.sent[0].spec.groups).toBeUndefined();
  });

  it.each([
    [
      { allowed: true, reason: 'is boss' },
      { decision: 'allow', reason: 'is boss' },
    ],
    [
      { allowed: false, denied: true, reason: 'is not' },
      { decision: 'deny', reason: 'is not' },
    ],
    [{ allowed: false }, { decision: 'no-opinion' }],
  ])('that answers %o means %o', async (status, result) => {
    config = await parse(webhook());
    reviews.answer = () => ({ status });
    expect(await authorizer.authorize(getPod, signal)).toEqual(result);
  });

  it('is not asked again while its answer counts: longer for a yes than for a no', async () => {
    config = await parse(webhook({ authorizedTTL: '1m', unauthorizedTTL: '10s' }));
    const asked = async (name: string): Promise<number> => {
      await authorizer.authorize({ ...getPod, name }, signal);
      return reviews.sent.length;
    };
    reviews.answer = ({ spec }) => ({ status: { allowed: spec.resourceAttributes.name === 'yes' } });
    expect(await asked('yes')).toBe(1);
    expect(await asked('no')).toBe(2);
    await clock.advance(9000);
    expect(await asked('yes')).toBe(2);
    expect(await asked('no')).toBe(2);
    await clock.advance(1000);
    expect(await asked('no')).toBe(3);
    expect(await asked('yes')).toBe(3);
    await clock.advance(50_000);
    expect(await asked('yes')).toBe(4);
  });

  it('is asked each time where that is configured', async () => {
    config = await parse(webhook({ cacheAuthorizedRequests: false, authorizedTTL: '1m' }));
    for (let times = 0; times < 3; times += 1) await authorizer.authorize(getPod, signal);
    expect(reviews.sent).toHaveLength(3);
  });

  it('that fails leaves the answer to the others, or closes the door', async () => {
    reviews.answer = () => 404;
    config = await parse(webhook(), { type: 'AlwaysAllow', name: 'all' });
    expect(await authorizer.authorize(getPod, signal)).toMatchObject({ decision: 'allow' });
    config = await parse(webhook({ failurePolicy: 'Deny' }), { type: 'AlwaysAllow', name: 'all' });
    await expect(authorizer.authorize(getPod, signal)).rejects.toThrow(/authorization webhook hook.example.com: /);
    // Nobody else allows: the caller must hear that somebody who might have could not be asked.
    config = await parse(webhook(), { type: 'RBAC', name: 'rbac' });
    await expect(authorizer.authorize(getPod, signal)).rejects.toThrow(/authorization webhook hook.example.com: /);
  });

  it('comes in the order of the configuration, and a no ends the asking', async () => {
    reviews.answer = () => ({ status: { allowed: false, denied: true } });
    config = await parse({ type: 'AlwaysAllow', name: 'all' }, webhook());
    expect((await authorizer.authorize(getPod, signal)).decision).toBe('allow');
    expect(reviews.sent).toHaveLength(0);
    config = await parse(webhook(), { type: 'AlwaysAllow', name: 'all' });
    expect((await authorizer.authorize(getPod, signal)).decision).toBe('deny');
  });

  it('never judges masters of the cluster, and tells no rules', async () => {
    config = await parse(webhook());
    expect((await authorizer.authorize({ ...getPod, user: { name: 'a', groups: ['system:masters'] } }, signal)).decision).toBe('allow');
    expect(reviews.sent).toHaveLength(0);
    expect(await authorizer.rulesFor(user, 'default', signal)).toMatchObject({
      incomplete: true,
      evaluationError: 'webhook authorizer does not support user rule resolution',
    });
  });
});

describe('match conditions', () => {
  it.each<[readonly string[], boolean]>([
    [['has(request.resourceAttributes)'], true],
    [['has(request.nonResourceAttributes)'], false],
    [["request.resourceAttributes.namespace == 'default'", "!('c' in request.groups)"], true],
    [["request.user.startsWith('j')", "request.resourceAttributes.verb == 'list'"], false],
    [["request.extra['example.com/x'].exists(v, v == '1')"], true],
    // One that is false counts though another came to no answer.
    [["request.nonResourceAttributes.path == '/x'", "request.user == 'eve'"], false],
  ])('%j: asked is %s', async (expressions, asked) => {
    config = await parse(webhook(matchConditions(...expressions)));
    await authorizer.authorize(getPod, signal);
    expect(reviews.sent).toHaveLength(asked ? 1 : 0);
  });

  it('that come to no answer count as a failure', async () => {
    config = await parse(webhook({ ...matchConditions("request.nonResourceAttributes.path == '/x'"), failurePolicy: 'Deny' }));
    await expect(authorizer.authorize(getPod, signal)).rejects.toThrow(/evaluate match conditions/);
    expect(reviews.sent).toHaveLength(0);
  });
});

describe('an AuthorizationConfiguration', () => {
  it.each<[string, readonly object[], string]>([
    ['nothing', [], 'authorizers: Required value'],
    ['an unknown type', [{ type: 'ABAC', name: 'a' }], 'authorizers[0].type: Unsupported value: "ABAC"'],
    [
      'a type twice',
      [
        { type: 'RBAC', name: 'a' },
        { type: 'RBAC', name: 'b' },
      ],
      'authorizers[1].type: Duplicate value: "RBAC"',
    ],
    [
      'a name twice',
      [
        { type: 'RBAC', name: 'a' },
        { type: 'Node', name: 'a' },
      ],
      'authorizers[1].name: Duplicate value: "a"',
    ],
    ['no name', [{ type: 'RBAC' }], 'authorizers[0].name: Required value'],
    ['a webhook that is none', [{ type: 'RBAC', name: 'a', webhook: {} }], 'may only be specified when type=Webhook'],
    ['no timeout', [webhook({ timeout: undefined })], 'authorizers[0].webhook.timeout: Required value'],
    ['a long timeout', [webhook({ timeout: '31s' })], 'must be > 0s and <= 30s'],
    ['no policy', [webhook({ failurePolicy: undefined })], 'authorizers[0].webhook.failurePolicy: Required value'],
    ['a condition that is none', [webhook(matchConditions('request.'))], 'matchConditions[0].expression: Invalid value'],
    ['a condition on a misspelt field', [webhook(matchConditions("request.usr == 'a'"))], 'compilation failed'],
    [
      'conditions without a version',
      [webhook({ matchConditions: [{ expression: 'true' }] })],
      'matchConditionSubjectAccessReviewVersion: Required value',
    ],
    ['a Pod that it does not run in', [webhook({ connectionInfo: { type: 'InClusterConfig' } })], 'Unsupported value: "InClusterConfig"'],
    ['a misspelt field', [webhook({ cacheAuthorised: false })], 'authorizers[0].webhook.cacheAuthorised: unknown field'],
  ])('is refused with %s', async (_what, authorizers, why) => {
    const refused = await parse(...authorizers).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConfigFileError);
    expect((refused as Error).message).toContain(why);
  });
});
