import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuthorizationQuery } from '../contract/authorizer.ts';
import { allowKnown, startTestServer, type TestClient, type TestServer, testClient } from '../testing/index.ts';

let server: TestServer;
let client: TestClient;
let asked: AuthorizationQuery[];
let answer: () => Promise<Awaited<ReturnType<typeof allowKnown.authorize>>>;

beforeAll(async () => {
  server = await startTestServer(new KindRegistry(builtinKinds), {
    authorizer: () => ({
      ...allowKnown,
      async authorize(query, signal) {
        if (query.user.name !== 'jane') return allowKnown.authorize(query, signal);
        asked.push(query);
        return answer();
      },
    }),
  });
  client = testClient(server);
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  asked = [];
  answer = async () => ({ decision: 'allow', reason: 'is jane' });
});

async function review(attributes: object, subject: object = { user: 'jane' }) {
  const spec = { ...subject, resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default', ...attributes } };
  return (await client.send('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { body: { spec } })).json;
}

describe('a SubjectAccessReview', () => {
  it('asks with selectors, whichever way they are written', async () => {
    const requirements = [
      { key: 'app', operator: 'In', values: ['a', 'b'] },
      { key: 'old', operator: 'DoesNotExist' },
    ];
    const fields = [
      { key: 'spec.nodeName', operator: 'In', values: ['n1'] },
      { key: 'status.phase', operator: 'NotIn', values: ['Failed'] },
      { key: 'x', operator: 'In', values: ['a', 'b'] },
    ];
    await review({ labelSelector: { requirements }, fieldSelector: { requirements: fields } });
    await review({ labelSelector: { rawSelector: 'app=a' }, fieldSelector: { rawSelector: 'spec.nodeName=n1' } });
    await review({});
    expect(asked).toMatchObject([
      { labelSelector: 'app in (a,b),!old', fieldSelector: 'spec.nodeName=n1,status.phase!=Failed' },
      { labelSelector: 'app=a', fieldSelector: 'spec.nodeName=n1' },
      {},
    ]);
    expect(asked[2]).not.toHaveProperty('labelSelector');
  });

  it.each([
    [{ labelSelector: {} }, 'spec.resourceAttributes.labelSelector.requirements'],
    [
      { fieldSelector: { rawSelector: 'a=b', requirements: [{ key: 'a', operator: 'Exists' }] } },
      'spec.resourceAttributes.fieldSelector.rawSelector',
    ],
  ])('is refused with %j', async (attributes, field) => {
    expect(await review(attributes)).toMatchObject({ code: 422, details: { causes: [{ field }] } });
    expect(asked).toEqual([]);
  });

  it.each<[Awaited<ReturnType<typeof answer>>, object]>([
    [
      { decision: 'allow', reason: 'is jane' },
      { allowed: true, reason: 'is jane' },
    ],
    [
      { decision: 'deny', reason: 'is late' },
      { allowed: false, denied: true, reason: 'is late' },
    ],
    [{ decision: 'no-opinion' }, { allowed: false }],
  ])('shows the answer %j', async (result, status) => {
    answer = async () => result;
    expect((await review({})).status).toEqual(status);
  });

  it('shows why there was none', async () => {
    answer = async () => {
      throw new Error('authorization webhook a: is away');
    };
    expect((await review({})).status).toEqual({ allowed: false, evaluationError: 'authorization webhook a: is away' });
  });

  it('asks for the whole subject', async () => {
    await review({}, { user: 'jane', groups: ['a'], uid: '7', extra: { 'Example.com/X': ['1'] } });
    expect(asked[0]?.user).toEqual({ name: 'jane', groups: ['a'], uid: '7', extra: { 'example.com/x': ['1'] } });
  });
});
