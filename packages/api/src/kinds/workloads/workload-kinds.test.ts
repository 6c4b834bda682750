import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindProbe } from '../../testing/kind-probe.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');
const BORN = { creationTimestamp: '2026-01-01T00:00:00Z' };
const labels = { app: 'web' };
const template: JsonObject = { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'x' }] } };
const selector: JsonObject = { matchLabels: labels };
const serving: JsonObject = { selector, template };

const deployments = new KindProbe('apps', 'deployments');
const replicaSets = new KindProbe('apps', 'replicasets');
const statefulSets = new KindProbe('apps', 'statefulsets');
const daemonSets = new KindProbe('apps', 'daemonsets');
const controllers = new KindProbe('', 'replicationcontrollers');
const jobs = new KindProbe('batch', 'jobs');
const cronJobs = new KindProbe('batch', 'cronjobs');

function never(): JsonObject {
  return { ...template, spec: { ...(template.spec as JsonObject), restartPolicy: 'Never' } };
}

describe('defaults', () => {
  it.each<[string, KindProbe, JsonObject, JsonObject]>([
    [
      'Deployment',
      deployments,
      serving,
      {
        replicas: 1,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
      },
    ],
    ['ReplicaSet', replicaSets, serving, { replicas: 1 }],
    ['ReplicationController', controllers, { template }, { replicas: 1, selector: labels }],
    [
      'DaemonSet',
      daemonSets,
      serving,
      { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }, revisionHistoryLimit: 10 },
    ],
    [
      'StatefulSet',
      statefulSets,
      serving,
      {
        replicas: 1,
        podManagementPolicy: 'OrderedReady',
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      },
    ],
    [
      'Job',
      jobs,
      { template: never() },
      {
        completions: 1,
        parallelism: 1,
        backoffLimit: 6,
        completionMode: 'NonIndexed',
        suspend: false,
        podReplacementPolicy: 'TerminatingOrFailed',
      },
    ],
    [
      'CronJob',
      cronJobs,
      { schedule: '* * * * *', jobTemplate: { spec: { template: never() } } },
      { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 },
    ],
  ])('of a %s', (_kind, probe, spec, expected) => {
    const object = probe.create({ spec });
    expect(object.spec).toMatchObject(expected);
    expect(object.metadata).toMatchObject({ generation: 1 });
    expect(probe.createFaults({ spec })).toEqual([]);
  });
});

describe('validation', () => {
  it.each<[string, KindProbe, JsonObject, string[]]>([
    ['no selector', deployments, { template }, ['spec.selector: Required value']],
    [
      'an empty selector',
      replicaSets,
      { selector: {}, template },
      ['spec.selector: Invalid value: {}: empty selector is invalid for ReplicaSet'],
    ],
    [
      'a selector that misses the template',
      deployments,
      { selector: { matchLabels: { app: 'other' } }, template },
      ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
    ],
    [
      'negative replicas',
      deployments,
      { ...serving, replicas: -1 },
      ['spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      'Pods that end',
      deployments,
      { selector, template: never() },
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      'a fault in the template',
      deployments,
      { selector, template: { metadata: { labels }, spec: { containers: [{ name: 'A', image: 'x' }] } } },
      [expect.stringMatching(/^spec\.template\.spec\.containers\[0\]\.name: Invalid value: "A"/) as unknown as string],
    ],
    [
      'no way to roll',
      deployments,
      { ...serving, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 0 } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
    ],
    [
      'a share above all',
      deployments,
      { ...serving, strategy: { rollingUpdate: { maxUnavailable: '101%' } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
    ],
    [
      'a rolling recreation',
      deployments,
      { ...serving, strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } },
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      'a Job whose Pods run for ever',
      jobs,
      { template },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      'an indexed Job without an end',
      jobs,
      { template: never(), completionMode: 'Indexed', parallelism: 1 },
      ['spec.completions: Required value: when completion mode is Indexed'],
    ],
    [
      'a bad schedule',
      cronJobs,
      { schedule: '* * *', jobTemplate: { spec: { template: never() } } },
      ['spec.schedule: Invalid value: "* * *": expected exactly 5 fields or a descriptor such as @daily'],
    ],
    [
      'a time zone that is none',
      cronJobs,
      { schedule: '@daily', timeZone: 'Mars/Base', jobTemplate: { spec: { template: never() } } },
      ['spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base'],
    ],
    [
      'mounts of claim templates',
      statefulSets,
      {
        selector,
        volumeClaimTemplates: [
          { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
        ],
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'a', image: 'x', volumeMounts: [{ name: 'data', mountPath: '/data' }] }] },
        },
      },
      [],
    ],
  ])('of %s', (_what, probe, spec, faults) => {
    expect(probe.createFaults({ spec })).toEqual(faults);
  });
});

describe('updates', () => {
  it('count generations by the spec, and take no status', () => {
    const old = deployments.create({ spec: serving });
    old.status = { replicas: 1 };
    const scaled = deployments.update(old, (object) => {
      (object.spec as JsonObject).replicas = 3;
      object.status = { replicas: 9 };
    });
    expect(scaled).toMatchObject({ faults: [], object: { metadata: { generation: 2 }, status: { replicas: 1 } } });
    const labelled = deployments.update(old, (object) => {
      (object.metadata as JsonObject).labels = labels;
    });
    expect(labelled.object.metadata).toMatchObject({ generation: 1 });
  });

  it('cannot select other Pods', () => {
    const old = deployments.create({ spec: serving });
    const { faults } = deployments.update(old, (object) => {
      object.spec = {
        ...(object.spec as JsonObject),
        selector: { matchLabels: { a: 'b' } },
        template: { ...template, metadata: { labels: { a: 'b' } } },
      };
    });
    expect(faults).toEqual(['spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: field is immutable']);
  });

  it('of a StatefulSet touch little', () => {
    const old = statefulSets.create({ spec: { ...serving, serviceName: 'a' } });
    const { faults } = statefulSets.update(old, (object) => {
      (object.spec as JsonObject).serviceName = 'b';
    });
    expect(faults).toEqual([
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ]);
  });

  it('of a Job leave its Pods as they are, until it is suspended and never ran', () => {
    const old = jobs.create({ spec: { template: never() } });
    const retarget = (object: JsonObject) => {
      const podSpec = ((object.spec as JsonObject).template as JsonObject).spec as JsonObject;
      podSpec.nodeSelector = { a: 'b' };
    };
    expect(jobs.update(old, retarget).faults).toEqual([expect.stringMatching(/^spec\.template: Invalid value: .*: field is immutable$/)]);
    const waiting = jobs.create({ spec: { template: never(), suspend: true } });
    expect(jobs.update(waiting, retarget).faults).toEqual([]);
  });
});

describe('a new Job', () => {
  it('labels its Pods with itself and selects by its uid', () => {
    const job = jobs.create({ spec: { template: never() } });
    const uid = (job.metadata as JsonObject).uid;
    expect(job.spec).toMatchObject({
      selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
      template: {
        metadata: { labels: { 'batch.kubernetes.io/controller-uid': uid, 'job-name': 'x', 'batch.kubernetes.io/job-name': 'x' } },
      },
    });
  });
});

describe('tables', () => {
  it.each<[KindProbe, JsonObject, JsonObject, Record<string, unknown>]>([
    [
      deployments,
      { ...serving, replicas: 3 },
      { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
      { Ready: '2/3', 'Up-to-date': 3, Available: 2, Age: '10m', Containers: 'a', Images: 'x', Selector: 'app=web' },
    ],
    [replicaSets, { ...serving, replicas: 3 }, { replicas: 3, readyReplicas: 2 }, { Desired: 3, Current: 3, Ready: 2 }],
    [statefulSets, { ...serving, replicas: 3 }, { readyReplicas: 1 }, { Ready: '1/3' }],
    [
      daemonSets,
      serving,
      { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 1, updatedNumberScheduled: 2, numberAvailable: 1 },
      { Desired: 2, Current: 2, Ready: 1, 'Up-to-date': 2, Available: 1, 'Node Selector': '<none>' },
    ],
    [
      jobs,
      { template: never() },
      {
        startTime: '2026-01-01T00:01:00Z',
        completionTime: '2026-01-01T00:01:30Z',
        succeeded: 1,
        conditions: [{ type: 'Complete', status: 'True' }],
      },
      { Status: 'Complete', Completions: '1/1', Duration: '30s' },
    ],
    [
      cronJobs,
      { schedule: '@daily', jobTemplate: { spec: { template: never() } } },
      { lastScheduleTime: '2026-01-01T00:05:00Z' },
      { Schedule: '@daily', Timezone: '<none>', Suspend: 'False', Active: 0, 'Last Schedule': '5m' },
    ],
  ])('case %#', (probe, spec, status, row) => {
    const object = probe.create({ metadata: BORN, spec });
    object.status = status;
    expect(probe.row(object, NOW)).toMatchObject(row);
  });
});
