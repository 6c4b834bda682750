import { type ClusterRole, clusterRoles, type PolicyRule } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { clusterRoleAggregationController } from './clusterrole-aggregation-controller.ts';

const see = (...resources: string[]): PolicyRule => ({ verbs: ['get'], apiGroups: [''], resources });

async function bench(...roles: ClusterRole[]): Promise<ControllerBench> {
  const made = controllerBench({ aggregation: clusterRoleAggregationController });
  for (const role of roles) made.client.put<ClusterRole>(clusterRoles, role);
  await made.start();
  return made;
}

const part = (name: string, of: string, ...rules: PolicyRule[]) =>
  ({ metadata: { name, labels: { [`to-${of}`]: 'true' } }, rules }) as unknown as ClusterRole;
const collecting = (name: string, what: string, labels: Record<string, string> = {}) =>
  ({
    metadata: { name, labels },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`to-${what}`]: 'true' } }] },
    rules: [],
  }) as unknown as ClusterRole;
const rulesOf = ({ client }: ControllerBench, name: string) => client.peek<ClusterRole>(clusterRoles, name)?.rules;

describe('a role that collects others', () => {
  it('has their rules by name, each once, through roles that collect too', async () => {
    await using run = await bench(
      collecting('admin', 'admin'),
      collecting('view', 'view', { 'to-admin': 'true' }),
      part('b', 'view', see('pods'), see('secrets')),
      part('a', 'view', see('services'), see('pods')),
      part('own', 'admin', see('nodes')),
    );
    expect(rulesOf(run, 'view')).toEqual([see('services'), see('pods'), see('secrets')]);
    expect(rulesOf(run, 'admin')).toEqual([see('nodes'), see('services'), see('pods'), see('secrets')]);
  });

  it('follows what comes, changes its labels and goes, and keeps nothing of its own', async () => {
    await using run = await bench(collecting('view', 'view'), part('a', 'view', see('pods')));
    await run.client.create<ClusterRole>(clusterRoles, part('b', 'view', see('secrets')));
    await run.settle();
    expect(rulesOf(run, 'view')).toEqual([see('pods'), see('secrets')]);
    await run.client.patch(clusterRoles, { name: 'a' }, { kind: 'merge', patch: { metadata: { labels: { 'to-view': null } } } });
    await run.settle();
    expect(rulesOf(run, 'view')).toEqual([see('secrets')]);
    await run.client.patch(clusterRoles, { name: 'view' }, { kind: 'merge', patch: { rules: [see('nodes')] } });
    await run.settle();
    expect(rulesOf(run, 'view')).toEqual([see('secrets')]);
    await run.client.delete(clusterRoles, { name: 'b' });
    await run.settle();
    expect(rulesOf(run, 'view')).toEqual([]);
  });

  it('is not written where it is right', async () => {
    await using run = await bench(collecting('view', 'view'), part('a', 'view', see('pods')));
    const before = run.client.writes().length;
    await run.client.create<ClusterRole>(clusterRoles, part('other', 'edit', see('secrets')));
    await run.settle();
    expect(
      run.client
        .writes()
        .slice(before)
        .map(({ verb }) => verb),
    ).toEqual(['create']);
  });
});
