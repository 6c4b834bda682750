import type { FlowSchema, FlowSchemaSpec } from '@dure/api';
import { describe, expect, it } from 'vitest';
import type { UserInfo } from '../contract/user.ts';
import { parseRequestInfo } from '../request/request-info.ts';
import { distinguisherOf, inMatchingOrder, matchesSchema } from './flow-schema.ts';

type Rule = NonNullable<FlowSchemaSpec['rules']>[number];

const ALICE: UserInfo = { name: 'alice', groups: ['devs', 'system:authenticated'] };
const ROBOT: UserInfo = { name: 'system:serviceaccount:ci:robot', groups: ['system:serviceaccounts', 'system:authenticated'] };
const ANYBODY = [{ kind: 'Group', group: { name: '*' } }];

function schemaOf(spec: Partial<FlowSchemaSpec>, name = 'one'): FlowSchema {
  return {
    kind: 'FlowSchema',
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    metadata: { name, uid: '', resourceVersion: '', creationTimestamp: '' },
    spec: { priorityLevelConfiguration: { name: 'level' }, ...spec },
    status: {},
  };
}

function request(line: string) {
  const [method = '', target = ''] = line.split(' ');
  const [path = '', query = ''] = target.split('?');
  return parseRequestInfo(method, path, new URLSearchParams(query));
}

interface Case {
  readonly says: string;
  readonly rule: Rule;
  readonly user?: UserInfo;
  readonly line: string;
  readonly matches: boolean;
}

const pods = (more: object = {}): Rule => ({
  subjects: ANYBODY,
  resourceRules: [{ verbs: ['*'], apiGroups: [''], resources: ['pods'], namespaces: ['*'], ...more }],
});
const subject = (one: Rule['subjects'][number]): Rule => ({ ...pods(), subjects: [one] });
const paths = (...nonResourceURLs: string[]): Rule => ({ subjects: ANYBODY, nonResourceRules: [{ verbs: ['get'], nonResourceURLs }] });
const POD = 'GET /api/v1/namespaces/ci/pods/p';

// biome-ignore format: a table
const CASES: readonly Case[] = [
  { says: 'a user by name', rule: subject({ kind: 'User', user: { name: 'alice' } }), line: POD, matches: true },
  { says: 'another user', rule: subject({ kind: 'User', user: { name: 'bob' } }), line: POD, matches: false },
  { says: 'every user', rule: subject({ kind: 'User', user: { name: '*' } }), line: POD, matches: true },
  { says: 'a group', rule: subject({ kind: 'Group', group: { name: 'devs' } }), line: POD, matches: true },
  { says: 'another group', rule: subject({ kind: 'Group', group: { name: 'ops' } }), line: POD, matches: false },
  { says: 'a service account', rule: subject({ kind: 'ServiceAccount', serviceAccount: { namespace: 'ci', name: 'robot' } }), user: ROBOT, line: POD, matches: true },
  { says: 'all of a namespace', rule: subject({ kind: 'ServiceAccount', serviceAccount: { namespace: 'ci', name: '*' } }), user: ROBOT, line: POD, matches: true },
  { says: 'all of another namespace', rule: subject({ kind: 'ServiceAccount', serviceAccount: { namespace: 'c', name: '*' } }), user: ROBOT, line: POD, matches: false },
  { says: 'a user where service accounts are meant', rule: subject({ kind: 'ServiceAccount', serviceAccount: { namespace: 'ci', name: '*' } }), line: POD, matches: false },
  { says: 'a verb', rule: pods({ verbs: ['list', 'get'] }), line: POD, matches: true },
  { says: 'another verb', rule: pods({ verbs: ['get'] }), line: 'GET /api/v1/namespaces/ci/pods', matches: false },
  { says: 'another group of the API', rule: pods({ apiGroups: ['apps'] }), line: POD, matches: false },
  { says: 'a subresource that the rule does not name', rule: pods(), line: 'GET /api/v1/namespaces/ci/pods/p/status', matches: false },
  { says: 'a subresource that it names', rule: pods({ resources: ['pods/status'] }), line: 'GET /api/v1/namespaces/ci/pods/p/status', matches: true },
  { says: 'one of its namespaces', rule: pods({ namespaces: ['ci'] }), line: POD, matches: true },
  { says: 'another namespace', rule: pods({ namespaces: ['prod'] }), line: POD, matches: false },
  { says: 'all namespaces at once, which is cluster scope', rule: pods(), line: 'GET /api/v1/pods', matches: false },
  { says: 'cluster scope', rule: pods({ clusterScope: true, namespaces: [] }), line: 'GET /api/v1/pods', matches: true },
  { says: 'a path', rule: paths('/version'), line: 'GET /version', matches: true },
  { says: 'a path below a prefix', rule: paths('/livez/*'), line: 'GET /livez/etcd', matches: true },
  { says: 'a path that only begins the same', rule: paths('/livez/*'), line: 'GET /livezzz', matches: false },
  { says: 'every path', rule: paths('*'), line: 'GET /metrics', matches: true },
  { says: 'a path where resources are meant', rule: pods({ resources: ['*'] }), line: 'GET /version', matches: false },
  { says: 'a resource where paths are meant', rule: paths('*'), line: POD, matches: false },
];

describe('matchesSchema', () => {
  it.each(CASES)('$says: $matches', ({ rule, user = ALICE, line, matches }) => {
    expect(matchesSchema(schemaOf({ rules: [rule] }), user, request(line))).toBe(matches);
  });

  it('takes any of its rules, and none without', () => {
    expect(matchesSchema(schemaOf({ rules: [pods({ namespaces: ['prod'] }), pods()] }), ALICE, request(POD))).toBe(true);
    expect(matchesSchema(schemaOf({}), ALICE, request(POD))).toBe(false);
  });
});

describe('inMatchingOrder', () => {
  it('goes by precedence, then by name', () => {
    const schemas = [
      schemaOf({}, 'b'),
      schemaOf({ matchingPrecedence: 9000 }, 'late'),
      schemaOf({}, 'a'),
      schemaOf({ matchingPrecedence: 1 }, 'z'),
    ];
    expect(inMatchingOrder(schemas).map(({ metadata }) => metadata.name)).toEqual(['z', 'a', 'b', 'late']);
  });
});

describe('distinguisherOf', () => {
  it('is the user, the namespace, or nothing', () => {
    expect(distinguisherOf(schemaOf({ distinguisherMethod: { type: 'ByUser' } }), ALICE, request(POD))).toBe('alice');
    expect(distinguisherOf(schemaOf({ distinguisherMethod: { type: 'ByNamespace' } }), ALICE, request(POD))).toBe('ci');
    expect(distinguisherOf(schemaOf({}), ALICE, request(POD))).toBe('');
  });
});
