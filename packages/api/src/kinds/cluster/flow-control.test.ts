import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindRegistry } from '../../kind-registry.ts';
import { builtinKinds } from '../builtin.ts';
import { validateNewObject } from '../validate-object.ts';

const API_VERSION = 'flowcontrol.apiserver.k8s.io/v1';
const kinds = new KindRegistry(builtinKinds);

function faults(kindName: string, name: string, spec: JsonObject): readonly string[] {
  const kind = kinds.object(API_VERSION, kindName);
  if (kind === undefined) throw new Error('not served');
  const object = { apiVersion: API_VERSION, kind: kindName, metadata: { name, uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' }, spec };
  return validateNewObject(kind, object).map(({ field, message }) => `${field}: ${message}`);
}

const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true };
const nodes = { kind: 'Group', group: { name: 'system:nodes' } };
const schema = (rule: JsonObject, more: JsonObject = {}): JsonObject => ({
  matchingPrecedence: 500,
  priorityLevelConfiguration: { name: 'system' },
  rules: [{ subjects: [nodes], resourceRules: [everything], ...rule }],
  ...more,
});

describe('a FlowSchema', () => {
  it.each<[string, JsonObject, string[]]>([
    ['as usual', schema({}, { distinguisherMethod: { type: 'ByUser' } }), []],
    [
      'before everybody',
      schema({}, { matchingPrecedence: 1 }),
      ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
    ],
    [
      'after everybody',
      schema({}, { matchingPrecedence: 10_001 }),
      ['spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000'],
    ],
    [
      'of no level',
      schema({}, { priorityLevelConfiguration: {} }),
      ['spec.priorityLevelConfiguration.name: Required value: must reference a priority level'],
    ],
    ['of nobody', schema({ subjects: [] }), ['spec.rules[0].subjects: Required value: subjects must contain at least one value']],
    [
      'of two at once',
      schema({ subjects: [{ ...nodes, user: { name: 'x' } }] }),
      ["spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'"],
    ],
    [
      'about nothing',
      schema({ resourceRules: [] }),
      ['spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty'],
    ],
    [
      'about all and one',
      schema({ resourceRules: [{ ...everything, resources: ['*', 'pods'] }] }),
      ['spec.rules[0].resourceRules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources'],
    ],
    [
      'about no namespace',
      schema({ resourceRules: [{ ...everything, namespaces: [], clusterScope: false }] }),
      [
        'spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace',
      ],
    ],
  ])('%s', (_what, spec, expected) => {
    expect(faults('FlowSchema', 'own', spec)).toEqual(expected);
  });
});

describe('a PriorityLevelConfiguration', () => {
  const queued = (queuing: JsonObject): JsonObject => ({
    type: 'Limited',
    limited: { nominalConcurrencyShares: 30, limitResponse: { type: 'Queue', queuing } },
  });
  it.each<[string, string, JsonObject, string[]]>([
    ['that queues', 'own', queued({ queues: 64, handSize: 6, queueLengthLimit: 50 }), []],
    ['that is exempt', 'exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 50 } }, []],
    [
      'that calls itself exempt',
      'own',
      { type: 'Exempt' },
      ["spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"],
    ],
    ['limited by nothing', 'own', { type: 'Limited' }, ['spec.limited: Required value: must not be empty when type is Limited']],
    [
      'with more in a hand than there is',
      'own',
      queued({ queues: 4, handSize: 5, queueLengthLimit: 50 }),
      ['spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)'],
    ],
    [
      'with hands that no hash can deal',
      'own',
      queued({ queues: 512, handSize: 8, queueLengthLimit: 50 }),
      [
        'spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60',
      ],
    ],
    [
      'that rejects and queues',
      'own',
      { type: 'Limited', limited: { nominalConcurrencyShares: 1, limitResponse: { type: 'Reject', queuing: { queues: 1 } } } },
      ['spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited'],
    ],
  ])('%s', (_what, name, spec, expected) => {
    expect(faults('PriorityLevelConfiguration', name, spec)).toEqual(expected);
  });
});
