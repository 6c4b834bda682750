import { describe, expect, it } from 'vitest';
import { type PolicyRule, ruleAllows, rulesCover } from './rule-matching.ts';

interface Case {
  readonly rule: PolicyRule;
  readonly ask: string;
  readonly allowed: boolean;
}

/** `verb group/resource[/subresource][ name]`; the core group is empty: `get /pods/log web`. */
function ask(rule: PolicyRule, question: string): boolean {
  const [verb = '', target = '', name = ''] = question.split(' ');
  if (target.startsWith('path:')) return ruleAllows(rule, verb, { kind: 'path', path: target.slice('path:'.length) });
  const [group = '', resource = '', subresource = ''] = target.split('/');
  return ruleAllows(rule, verb, { kind: 'resource', group, version: 'v1', resource, subresource, namespace: 'default', name });
}

const readPods: PolicyRule = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] };
const everything: PolicyRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };

describe('ruleAllows', () => {
  it.each<Case>([
    { rule: readPods, ask: 'get /pods web', allowed: true },
    { rule: readPods, ask: 'delete /pods web', allowed: false },
    { rule: readPods, ask: 'get apps/pods web', allowed: false },
    { rule: readPods, ask: 'get /pods/log web', allowed: false },
    { rule: { ...readPods, resources: ['pods/log'] }, ask: 'get /pods/log web', allowed: true },
    { rule: { ...readPods, resources: ['pods/log'] }, ask: 'get /pods web', allowed: false },
    { rule: { ...readPods, resources: ['*/scale'], apiGroups: ['*'] }, ask: 'get apps/deployments/scale web', allowed: true },
    { rule: { ...readPods, resources: ['*/scale'], apiGroups: ['*'] }, ask: 'get apps/deployments web', allowed: false },
    { rule: everything, ask: 'patch apps/deployments/status web', allowed: true },
    { rule: everything, ask: 'get path:/metrics', allowed: false },
    { rule: { ...readPods, resourceNames: ['web'] }, ask: 'get /pods web', allowed: true },
    { rule: { ...readPods, resourceNames: ['web'] }, ask: 'get /pods db', allowed: false },
    { rule: { ...readPods, resourceNames: ['web'] }, ask: 'list /pods', allowed: false },
    { rule: { verbs: ['get'], nonResourceURLs: ['/healthz', '/openapi/*'] }, ask: 'get path:/healthz', allowed: true },
    { rule: { verbs: ['get'], nonResourceURLs: ['/healthz', '/openapi/*'] }, ask: 'get path:/openapi/v3/api', allowed: true },
    { rule: { verbs: ['get'], nonResourceURLs: ['/healthz', '/openapi/*'] }, ask: 'get path:/healthz/etcd', allowed: false },
    { rule: { verbs: ['get'], nonResourceURLs: ['/healthz'] }, ask: 'get /pods web', allowed: false },
  ])('$ask: $allowed', ({ rule, ask: question, allowed }) => {
    expect(ask(rule, question)).toBe(allowed);
  });
});

describe('rulesCover', () => {
  it('adds several rules up', () => {
    const held = [readPods, { ...readPods, verbs: ['watch'] }];
    expect(rulesCover(held, [{ ...readPods, verbs: ['get', 'watch'] }])).toBe(true);
    expect(rulesCover(held, [{ ...readPods, verbs: ['get', 'create'] }])).toBe(false);
  });

  it('covers a wildcard by a wildcard only', () => {
    expect(
      rulesCover(
        [{ ...readPods, verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'] }],
        [{ ...readPods, verbs: ['*'] }],
      ),
    ).toBe(false);
    expect(rulesCover([everything], [{ ...readPods, verbs: ['*'], resources: ['*'] }])).toBe(true);
  });

  it('does not let a rule on named objects cover all of them', () => {
    expect(rulesCover([{ ...readPods, resourceNames: ['web'] }], [readPods])).toBe(false);
    expect(rulesCover([readPods], [{ ...readPods, resourceNames: ['web'] }])).toBe(true);
  });

  it('keeps paths and resources apart', () => {
    expect(rulesCover([everything], [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }])).toBe(false);
  });
});
