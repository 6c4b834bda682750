import type { Deployment, ReplicaSet } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { planDeployment } from './deployment-plan.ts';
import { newReplicaSetAnnotations } from './replica-sets.ts';

const NOW_MS = Date.parse('2026-01-01T01:00:00Z');
const template = (image: string): Deployment['spec']['template'] => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image }] },
});

function deployment(
  spec: Partial<Deployment['spec']> = {},
  rest: { status?: Deployment['status']; annotations?: Record<string, string> } = {},
): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      namespace: 'default',
      name: 'web',
      uid: 'd',
      resourceVersion: '1',
      creationTimestamp: '',
      generation: 1,
      annotations: { 'deployment.kubernetes.io/revision': '2', ...rest.annotations },
    },
    spec: {
      replicas: 10,
      selector: { matchLabels: { app: 'web' } },
      template: template('new'),
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 2,
      ...spec,
    },
    status: rest.status ?? {
      conditions: [{ type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', lastUpdateTime: '2026-01-01T00:59:00Z' }],
    },
  };
}

interface SetCase {
  readonly image: string;
  readonly size: number;
  readonly available?: number;
  readonly revision?: number | bigint;
  readonly desired?: number;
  readonly max?: number;
}

function sets(...cases: readonly SetCase[]): readonly ReplicaSet[] {
  return cases.map(({ image, size, available = size, revision, desired = 10, max = 13 }, index) => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      namespace: 'default',
      name: `web-${image}`,
      uid: image,
      resourceVersion: '1',
      creationTimestamp: `2026-01-01T00:00:0${index}Z`,
      annotations: {
        'deployment.kubernetes.io/revision': String(revision ?? index + 1),
        'deployment.kubernetes.io/desired-replicas': String(desired),
        'deployment.kubernetes.io/max-replicas': String(max),
      },
    },
    spec: {
      replicas: size,
      selector: {},
      template: { ...template(image), metadata: { labels: { app: 'web', 'pod-template-hash': image } } },
    },
    status: { replicas: size, readyReplicas: available, availableReplicas: available },
  }));
}

/** What the plan does, in one line. */
function steps(subject: Deployment, owned: readonly ReplicaSet[], podsOf: Parameters<typeof planDeployment>[2] = () => []): string {
  const plan = planDeployment(subject, owned, podsOf, NOW_MS);
  return [
    plan.create === undefined ? '' : `create ${plan.create.spec?.replicas}`,
    plan.annotate === undefined ? '' : `annotate ${plan.annotate.replicaSet.metadata.name}`,
    ...plan.resizes.map(({ replicaSet, replicas }) => `${replicaSet.metadata.name} ${replicaSet.spec.replicas}->${replicas}`),
    ...plan.remove.map(({ metadata }) => `remove ${metadata.name}`),
  ]
    .filter((step) => step !== '')
    .join(', ');
}

const rolling = (maxSurge: number | string, maxUnavailable: number | string): Partial<Deployment['spec']> => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
});

describe('a rolling update', () => {
  it.each([
    ['starts with as many new Pods as the surge allows', rolling('25%', '25%'), [{ image: 'old', size: 10 }], 'create 3'],
    ['starts from nothing with all', rolling('25%', '25%'), [], 'create 10'],
    ['creates an empty one when there is no room above', rolling(0, 1), [{ image: 'old', size: 10 }], 'create 0'],
    [
      'takes old ones away as far as availability allows',
      rolling('25%', '25%'),
      [
        { image: 'old', size: 10 },
        { image: 'new', size: 3, available: 0 },
      ],
      'web-old 10->8',
    ],
    [
      'goes on growing first',
      rolling('25%', '25%'),
      [
        { image: 'old', size: 8 },
        { image: 'new', size: 3, available: 0 },
      ],
      'web-new 3->5',
    ],
    [
      'waits when nothing may move',
      rolling(3, 2),
      [
        { image: 'old', size: 8 },
        { image: 'new', size: 5, available: 0 },
      ],
      '',
    ],
    [
      'removes broken old Pods first',
      rolling(0, 2),
      [
        { image: 'older', size: 5, available: 0 },
        { image: 'old', size: 5 },
        { image: 'new', size: 0, revision: 3 },
      ],
      'web-older 5->3',
    ],
    [
      'never stands still for percentages that round to nothing',
      { replicas: 1, ...rolling('0%', '10%') },
      [
        { image: 'old', size: 1, desired: 1 },
        { image: 'new', size: 0, desired: 1 },
      ],
      'web-old 1->0',
    ],
    ['shrinks a new one that is too large', {}, [{ image: 'new', size: 12, revision: 2 }], 'web-new 12->10'],
    [
      'removes the oldest history when it is done',
      {},
      [
        { image: 'a', size: 0, revision: 1 },
        { image: 'b', size: 0, revision: 2 },
        { image: 'c', size: 0, revision: 3 },
        { image: 'new', size: 10, revision: 4 },
      ],
      'remove web-a',
    ],
    [
      'gives an old template found again the newest revision',
      {},
      [
        { image: 'new', size: 0, revision: 1 },
        { image: 'old', size: 10, revision: 2 },
      ],
      'annotate web-new',
    ],
  ] as const)('%s', (_title, spec, owned, expected) => {
    expect(steps(deployment(spec), sets(...owned))).toBe(expected);
  });
});

describe('scaling', () => {
  it.each([
    [
      'gives it all to the only one',
      { replicas: 20 },
      [
        { image: 'old', size: 0 },
        { image: 'new', size: 10 },
      ],
      'web-new 10->20',
    ],
    [
      'shares growth in proportion during a rollout',
      { replicas: 20, ...rolling(2, 0) },
      [
        { image: 'old', size: 8, max: 12 },
        { image: 'new', size: 4, max: 12, available: 0 },
      ],
      'web-old 8->15, web-new 4->7',
    ],
    [
      'shares shrinking in proportion too',
      { replicas: 5, ...rolling(0, 2) },
      [
        { image: 'old', size: 6, max: 10 },
        { image: 'new', size: 4, max: 10, available: 0 },
      ],
      'web-old 6->3, web-new 4->2',
    ],
    [
      'empties all for none',
      { replicas: 0 },
      [
        { image: 'old', size: 6 },
        { image: 'new', size: 4, available: 0 },
      ],
      'web-old 6->0, web-new 4->0',
    ],
    ['a paused one still scales, and does not roll', { replicas: 20, paused: true }, [{ image: 'old', size: 10 }], 'web-old 10->20'],
    ['a paused one makes no new ReplicaSet', { paused: true }, [{ image: 'old', size: 10 }], ''],
  ] as const)('%s', (_title, spec, owned, expected) => {
    expect(steps(deployment(spec), sets(...owned))).toBe(expected);
  });
});

describe('recreate', () => {
  const spec: Partial<Deployment['spec']> = { strategy: { type: 'Recreate' } };

  it('ends everything old, waits for the last Pod to be gone, then starts', () => {
    expect(steps(deployment(spec), sets({ image: 'old', size: 10 }))).toBe('web-old 10->0');
    const going = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', uid: 'p', resourceVersion: '1', creationTimestamp: '', deletionTimestamp: 'x' },
      spec: { containers: [] },
      status: { phase: 'Running' as const },
    };
    expect(steps(deployment(spec), sets({ image: 'old', size: 0 }), () => [going])).toBe('');
    expect(steps(deployment(spec), sets({ image: 'old', size: 0 }))).toBe('create 10');
  });
});

describe('the status', () => {
  const status = (subject: Deployment, owned: readonly ReplicaSet[]) => planDeployment(subject, owned, () => [], NOW_MS);
  const progressing = (subject: Deployment, owned: readonly ReplicaSet[]) =>
    status(subject, owned).status.conditions?.find(({ type }) => type === 'Progressing');

  it('counts, and says what is available', () => {
    expect(
      status(deployment(), sets({ image: 'old', size: 8, available: 7 }, { image: 'new', size: 5, available: 0 })).status,
    ).toMatchObject({
      observedGeneration: 1,
      replicas: 13,
      updatedReplicas: 5,
      readyReplicas: 7,
      availableReplicas: 7,
      unavailableReplicas: 6,
      conditions: expect.arrayContaining([
        expect.objectContaining({
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        }),
      ]),
    });
  });

  it('says when it is complete, and for how long it may take otherwise', () => {
    const done = sets({ image: 'old', size: 0 }, { image: 'new', size: 10 });
    expect(progressing(deployment(), done)).toMatchObject({
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: 'ReplicaSet "web-new" has successfully progressed.',
    });
    expect(status(deployment(), done).requeueAfterMs).toBeUndefined();
    const stuck = sets({ image: 'old', size: 8 }, { image: 'new', size: 5, available: 0 });
    const counts = { replicas: 13, updatedReplicas: 5, readyReplicas: 8, availableReplicas: 8 };
    const since = (time: string): Deployment =>
      deployment(
        {},
        {
          status: {
            ...counts,
            conditions: [
              { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', lastUpdateTime: time, lastTransitionTime: time },
            ],
          },
        },
      );
    expect(status(since('2026-01-01T00:55:00Z'), stuck).requeueAfterMs).toBe(301_000);
    expect(progressing(since('2026-01-01T00:49:00Z'), stuck)).toMatchObject({
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: 'ReplicaSet "web-new" has timed out progressing.',
      lastTransitionTime: '2026-01-01T01:00:00Z',
    });
  });

  it('says that it is paused and resumed, so that the pause does not count', () => {
    const owned = sets({ image: 'new', size: 10, revision: 2 });
    expect(progressing(deployment({ paused: true }), owned)).toMatchObject({
      status: 'Unknown',
      reason: 'DeploymentPaused',
      message: 'Deployment is paused',
    });
    const paused = {
      conditions: [{ type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused', lastUpdateTime: '2026-01-01T00:00:00Z' }],
    };
    const resumed = progressing(
      deployment({}, { status: { ...paused, replicas: 10, updatedReplicas: 10, readyReplicas: 10, availableReplicas: 5 } }),
      sets({ image: 'new', size: 10, available: 5, revision: 2 }),
    );
    expect(resumed).toMatchObject({ status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' });
  });

  it('passes on why Pods cannot be made', () => {
    const [broken] = sets({ image: 'new', size: 10, available: 0, revision: 2 });
    if (broken === undefined) throw new Error('no set');
    const failed = {
      ...broken,
      status: { replicas: 0, conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' }] },
    };
    expect(status(deployment(), [failed]).status.conditions).toContainEqual(
      expect.objectContaining({ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' }),
    );
  });
});

describe('revisions', () => {
  it('remember under which numbers a ReplicaSet served before, and carry the change cause', () => {
    const [found] = sets({ image: 'new', size: 0, revision: 1 });
    expect(
      newReplicaSetAnnotations(
        deployment({}, { annotations: { 'kubernetes.io/change-cause': 'undo', 'kubectl.kubernetes.io/last-applied-configuration': '{}' } }),
        found,
        3n,
      ),
    ).toEqual({
      'deployment.kubernetes.io/revision': '3',
      'deployment.kubernetes.io/revision-history': '1',
      'deployment.kubernetes.io/desired-replicas': '10',
      'deployment.kubernetes.io/max-replicas': '13',
      'kubernetes.io/change-cause': 'undo',
    });
  });

  it('count on from a number that needs 64 bits', () => {
    const { create } = planDeployment(deployment(), sets({ image: 'old', size: 10, revision: 3546343826724305832n }), () => [], NOW_MS);
    expect(create?.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3546343826724305833');
  });

  it('name the new ReplicaSet after its template, another one after a collision', () => {
    const name = (collisionCount?: number): string | undefined =>
      planDeployment(deployment({}, { status: collisionCount === undefined ? {} : { collisionCount } }), [], () => [], NOW_MS).create
        ?.metadata.name;
    expect(name()).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]+$/);
    expect(name()).toBe(name());
    expect(name(1)).not.toBe(name());
    const plan = planDeployment(deployment(), [], () => [], NOW_MS);
    const hash = plan.create?.metadata.labels?.['pod-template-hash'];
    expect(plan.create?.spec?.selector.matchLabels).toEqual({ app: 'web', 'pod-template-hash': hash });
    expect(plan.create?.spec?.template?.metadata?.labels).toEqual({ app: 'web', 'pod-template-hash': hash });
    expect(plan.revision).toBe('1');
  });
});
