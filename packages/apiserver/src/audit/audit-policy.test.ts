import { describe, expect, it } from 'vitest';
import { ConfigFileError } from '../config-files/config-file.ts';
import { parseRequestInfo } from '../request/request-info.ts';
import { auditDecision, parseAuditPolicy } from './audit-policy.ts';

const policy = (rules: readonly object[], more: object = {}): string =>
  JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules, ...more });
const jane = { name: 'jane', groups: ['dev', 'system:authenticated'] };
const ask = (rule: object, request: string, user = jane) => {
  const [method = '', target = ''] = request.split(' ');
  const url = new URL(target, 'https://a');
  return auditDecision(parseAuditPolicy(policy([rule])), user, parseRequestInfo(method, url.pathname, url.searchParams)).level;
};
const PODS = '/api/v1/namespaces/default/pods';

describe('a rule', () => {
  it.each<[object, string, boolean]>([
    [{}, `GET ${PODS}`, true],
    [{ users: ['jane'] }, `GET ${PODS}`, true],
    [{ users: ['joe'] }, `GET ${PODS}`, false],
    [{ userGroups: ['ops', 'dev'] }, `GET ${PODS}`, true],
    [{ verbs: ['list'] }, `GET ${PODS}`, true],
    [{ verbs: ['watch'] }, `GET ${PODS}`, false],
    [{ verbs: ['watch'] }, `GET ${PODS}?watch=true`, true],
    [{ namespaces: ['default'] }, `GET ${PODS}`, true],
    [{ namespaces: ['other'] }, `GET ${PODS}`, false],
    [{ namespaces: [''] }, 'GET /api/v1/nodes', true],
    [{ namespaces: ['default'] }, 'GET /healthz', false],
    [{ resources: [{ group: '' }] }, `GET ${PODS}`, true],
    [{ resources: [{ group: 'apps' }] }, `GET ${PODS}`, false],
    [{ resources: [{ group: '', resources: ['pods'] }] }, `GET ${PODS}/a`, true],
    [{ resources: [{ group: '', resources: ['pods'] }] }, `GET ${PODS}/a/log`, false],
    [{ resources: [{ group: '', resources: ['pods/log'] }] }, `GET ${PODS}/a/log`, true],
    [{ resources: [{ group: '', resources: ['pods/*'] }] }, `GET ${PODS}/a/log`, true],
    [{ resources: [{ group: '', resources: ['*/log'] }] }, `GET ${PODS}/a/log`, true],
    [{ resources: [{ group: '', resources: ['*/log'] }] }, `GET ${PODS}/a`, false],
    [{ resources: [{ group: '', resources: ['*'] }] }, `GET ${PODS}/a/log`, true],
    [{ resources: [{ group: '', resources: ['pods'], resourceNames: ['a'] }] }, `GET ${PODS}/a`, true],
    [{ resources: [{ group: '', resources: ['pods'], resourceNames: ['a'] }] }, `GET ${PODS}/b`, false],
    [{ resources: [{ group: '' }] }, 'GET /healthz', false],
    [{ nonResourceURLs: ['/healthz*'] }, 'GET /healthz/ping', true],
    [{ nonResourceURLs: ['/healthz'] }, 'GET /healthz/ping', false],
    [{ nonResourceURLs: ['*'] }, `GET ${PODS}`, false],
  ])('%j on %s fits: %s', (rule, request, fits) => {
    expect(ask({ level: 'Request', ...rule }, request)).toBe(fits ? 'Request' : 'None');
  });

  it('comes before those behind it, and stages left out by the policy stay out', () => {
    const parsed = parseAuditPolicy(
      policy(
        [
          { level: 'None', users: ['jane'] },
          { level: 'Metadata', omitStages: ['Panic'], omitManagedFields: false },
        ],
        { omitStages: ['RequestReceived'], omitManagedFields: true },
      ),
    );
    const info = parseRequestInfo('GET', PODS, new URLSearchParams());
    expect(auditDecision(parsed, jane, info).level).toBe('None');
    expect(auditDecision(parsed, { name: 'joe', groups: [] }, info)).toMatchObject({
      level: 'Metadata',
      omitStages: new Set(['RequestReceived', 'Panic']),
      omitManagedFields: false,
    });
  });
});

describe('a policy', () => {
  it.each<[string, string, string]>([
    ['no rules', policy([]), 'rules: loaded illegal policy with 0 rules'],
    ['no level', policy([{}]), 'rules[0].level: Required value'],
    ['an unknown level', policy([{ level: 'All' }]), 'Unsupported value: "All"'],
    ['an unknown stage', policy([{ level: 'None', omitStages: ['Later'] }]), 'rules[0].omitStages[0]: Invalid value: "Later"'],
    ['both sorts', policy([{ level: 'None', nonResourceURLs: ['/a'], namespaces: ['b'] }]), 'cannot apply to both'],
    ['a path in the middle', policy([{ level: 'None', nonResourceURLs: ['/a*b'] }]), 'must be the final character'],
    ['a path that is none', policy([{ level: 'None', nonResourceURLs: ['a'] }]), "must begin with a '/'"],
    ['a version', policy([{ level: 'None', resources: [{ group: 'apps/v1' }] }]), 'must not contain a version'],
    ['names of nothing', policy([{ level: 'None', resources: [{ group: '', resourceNames: ['a'] }] }]), 'requires at least one resource'],
    ['a misspelt field', policy([{ level: 'None', user: ['a'] }]), 'rules[0].user: unknown field'],
  ])('is refused with %s', (_what, text, why) => {
    expect(() => parseAuditPolicy(text)).toThrow(ConfigFileError);
    expect(() => parseAuditPolicy(text)).toThrow(why);
  });
});
