import { builtinKinds, type JsonObject, type KindDefinition, KindRegistry } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { planDeletion } from './deletion-plan.ts';
import { type DeleteOptions, parseDeleteOptions } from './write-options.ts';

const kinds = new KindRegistry(builtinKinds);
const NOW = Date.parse('2024-01-01T00:00:00Z');

function kind(group: string, resource: string): KindDefinition {
  const found = kinds.groupResource(group, resource);
  if (found === undefined) throw new Error(`no ${resource}`);
  return found;
}

interface DeletionCase {
  readonly name: string;
  readonly resource?: string;
  readonly object: JsonObject;
  readonly options?: Partial<DeleteOptions>;
  readonly plan: unknown;
}

const running = { spec: { nodeName: 'n', terminationGracePeriodSeconds: 30 }, status: { phase: 'Running' } };
const marked = (meta: object): unknown => ({ kind: 'mark', object: { metadata: meta } });
const cases: readonly DeletionCase[] = [
  { name: 'removes what nothing holds', object: { metadata: {} }, plan: { kind: 'remove' } },
  {
    name: 'marks what a finalizer holds',
    object: { metadata: { finalizers: ['a/b'] } },
    plan: marked({ deletionTimestamp: '2024-01-01T00:00:00Z', deletionGracePeriodSeconds: 0, finalizers: ['a/b'] }),
  },
  {
    name: 'counts the deletion as a change of what is wanted',
    object: { metadata: { generation: 3, finalizers: ['a/b'] } },
    plan: marked({ generation: 4 }),
  },
  {
    name: 'keeps what is marked already',
    object: { metadata: { deletionTimestamp: '2023-01-01T00:00:00Z', deletionGracePeriodSeconds: 0, finalizers: ['a/b'] } },
    plan: { kind: 'keep' },
  },
  {
    name: 'holds for dependents in the foreground',
    object: { metadata: {} },
    options: { propagationPolicy: 'Foreground' },
    plan: marked({ finalizers: ['foregroundDeletion'] }),
  },
  {
    name: 'holds for orphaning',
    object: { metadata: {} },
    options: { propagationPolicy: 'Orphan' },
    plan: marked({ finalizers: ['orphan'] }),
  },
  {
    name: 'drops the other policy when asked for background',
    object: { metadata: { finalizers: ['foregroundDeletion'] } },
    options: { propagationPolicy: 'Background' },
    plan: { kind: 'remove' },
  },
  {
    name: 'gives a running Pod its time',
    resource: 'pods',
    object: { metadata: {}, ...running },
    plan: marked({ deletionTimestamp: '2024-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 }),
  },
  {
    name: 'gives the time that was asked for',
    resource: 'pods',
    object: { metadata: {}, ...running },
    options: { gracePeriodSeconds: 5 },
    plan: marked({ deletionTimestamp: '2024-01-01T00:00:05Z', deletionGracePeriodSeconds: 5 }),
  },
  {
    name: 'shortens a time that runs, from its start',
    resource: 'pods',
    object: { metadata: { deletionTimestamp: '2024-01-01T00:00:20Z', deletionGracePeriodSeconds: 30 }, ...running },
    options: { gracePeriodSeconds: 12 },
    plan: marked({ deletionTimestamp: '2024-01-01T00:00:02Z', deletionGracePeriodSeconds: 12 }),
  },
  {
    name: 'does not lengthen it',
    resource: 'pods',
    object: { metadata: { deletionTimestamp: '2024-01-01T00:00:20Z', deletionGracePeriodSeconds: 30 }, ...running },
    options: { gracePeriodSeconds: 90 },
    plan: { kind: 'keep' },
  },
  {
    name: 'removes a Pod at once when forced',
    resource: 'pods',
    object: { metadata: {}, ...running },
    options: { gracePeriodSeconds: 0 },
    plan: { kind: 'remove' },
  },
  {
    name: 'removes a Pod that no node has',
    resource: 'pods',
    object: { metadata: {}, spec: {}, status: { phase: 'Pending' } },
    plan: { kind: 'remove' },
  },
  {
    name: 'removes a Pod that has ended',
    resource: 'pods',
    object: { metadata: {}, ...running, status: { phase: 'Succeeded' } },
    plan: { kind: 'remove' },
  },
  {
    name: 'keeps a forced Pod for its finalizers',
    resource: 'pods',
    object: { metadata: { finalizers: ['a/b'] }, ...running },
    options: { gracePeriodSeconds: 0 },
    plan: marked({ deletionGracePeriodSeconds: 0 }),
  },
  {
    name: 'terminates a Namespace',
    resource: 'namespaces',
    object: { metadata: {}, spec: { finalizers: ['kubernetes'] } },
    plan: { kind: 'mark', object: { metadata: { deletionTimestamp: '2024-01-01T00:00:00Z' }, status: { phase: 'Terminating' } } },
  },
];

describe('planDeletion', () => {
  it.each(cases)('$name', ({ resource = 'configmaps', object, options = {}, plan }) => {
    expect(planDeletion(kind('', resource), structuredClone(object), { dryRun: false, ...options }, NOW)).toMatchObject(plan as object);
  });
});

describe('parseDeleteOptions', () => {
  it('reads the query and lets the body lead', () => {
    expect(parseDeleteOptions(new URLSearchParams('gracePeriodSeconds=3&propagationPolicy=Orphan'), undefined)).toEqual({
      dryRun: false,
      gracePeriodSeconds: 3,
      propagationPolicy: 'Orphan',
    });
    expect(parseDeleteOptions(new URLSearchParams('gracePeriodSeconds=3'), { gracePeriodSeconds: 7, dryRun: ['All'] })).toEqual({
      dryRun: true,
      gracePeriodSeconds: 7,
    });
    expect(parseDeleteOptions(new URLSearchParams('orphanDependents=true'), undefined).propagationPolicy).toBe('Orphan');
  });

  it.each([
    [{ propagationPolicy: 'Never' }],
    [{ gracePeriodSeconds: 'x' }],
    [{ kind: 'Pod' }],
    [['a']],
    [{ propagationPolicy: 'Orphan', orphanDependents: true }],
  ])('refuses %j', (body) => {
    expect(() => parseDeleteOptions(new URLSearchParams(), body)).toThrow();
  });
});
