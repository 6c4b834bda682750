/** Defaults of the kinds that make Pods. */
import type { JsonObject } from '../../definition.ts';
import { ensureObject, numberAt, objectAt, objectsAt, own, setDefault } from '../../json-value.ts';
import { defaultPodTemplate, setIfEmpty } from '../pods/pod-spec-defaults.ts';

const REVISION_HISTORY_LIMIT = 10;
const PROGRESS_DEADLINE_SECONDS = 600;
const BACKOFF_LIMIT = 6;
const BACKOFF_LIMIT_UNBOUNDED = 2 ** 31 - 1;

export function defaultDeployment(deployment: JsonObject): void {
  const spec = ensureObject(deployment, 'spec');
  defaultPodTemplate(objectAt(spec, 'template'));
  setDefault(spec, 'replicas', 1);
  const strategy = ensureObject(spec, 'strategy');
  setIfEmpty(strategy, 'type', 'RollingUpdate');
  if (strategy.type === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', '25%');
    setDefault(rolling, 'maxSurge', '25%');
  }
  setDefault(spec, 'revisionHistoryLimit', REVISION_HISTORY_LIMIT);
  setDefault(spec, 'progressDeadlineSeconds', PROGRESS_DEADLINE_SECONDS);
}

export function defaultReplicaSet(replicaSet: JsonObject): void {
  const spec = ensureObject(replicaSet, 'spec');
  defaultPodTemplate(objectAt(spec, 'template'));
  setDefault(spec, 'replicas', 1);
}

/** Labels and selector follow the template's labels, as they did before selectors had to be said. */
export function defaultReplicationController(controller: JsonObject): void {
  const spec = ensureObject(controller, 'spec');
  defaultPodTemplate(objectAt(spec, 'template'));
  const labels = objectAt(spec, 'template', 'metadata', 'labels');
  if (labels !== undefined && Object.keys(labels).length > 0) {
    if (Object.keys(objectAt(spec, 'selector') ?? {}).length === 0) spec.selector = { ...labels };
    inheritLabels(controller, labels);
  }
  setDefault(spec, 'replicas', 1);
}

export function defaultDaemonSet(daemonSet: JsonObject): void {
  const spec = ensureObject(daemonSet, 'spec');
  defaultPodTemplate(objectAt(spec, 'template'));
  const strategy = ensureObject(spec, 'updateStrategy');
  setIfEmpty(strategy, 'type', 'RollingUpdate');
  if (strategy.type === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', 1);
    setDefault(rolling, 'maxSurge', 0);
  }
  setDefault(spec, 'revisionHistoryLimit', REVISION_HISTORY_LIMIT);
}

export function defaultStatefulSet(statefulSet: JsonObject): void {
  const spec = ensureObject(statefulSet, 'spec');
  defaultPodTemplate(objectAt(spec, 'template'));
  setIfEmpty(spec, 'podManagementPolicy', 'OrderedReady');
  const strategy = ensureObject(spec, 'updateStrategy');
  setIfEmpty(strategy, 'type', 'RollingUpdate');
  if (strategy.type === 'RollingUpdate') {
    setDefault(ensureObject(strategy, 'rollingUpdate'), 'partition', 0);
  }
  const retention = ensureObject(spec, 'persistentVolumeClaimRetentionPolicy');
  setIfEmpty(retention, 'whenDeleted', 'Retain');
  setIfEmpty(retention, 'whenScaled', 'Retain');
  setDefault(spec, 'replicas', 1);
  setDefault(spec, 'revisionHistoryLimit', REVISION_HISTORY_LIMIT);
  for (const claim of objectsAt(spec, 'volumeClaimTemplates')) {
    setIfEmpty(claim, 'apiVersion', 'v1');
    setIfEmpty(claim, 'kind', 'PersistentVolumeClaim');
    setDefault(ensureObject(claim, 'spec'), 'volumeMode', 'Filesystem');
    setIfEmpty(ensureObject(claim, 'status'), 'phase', 'Pending');
  }
}

export function defaultJob(job: JsonObject): void {
  const spec = ensureObject(job, 'spec');
  defaultJobSpec(spec);
  inheritLabels(job, objectAt(spec, 'template', 'metadata', 'labels'));
}

export function defaultCronJob(cronJob: JsonObject): void {
  const spec = ensureObject(cronJob, 'spec');
  setIfEmpty(spec, 'concurrencyPolicy', 'Allow');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'successfulJobsHistoryLimit', 3);
  setDefault(spec, 'failedJobsHistoryLimit', 1);
  // The Jobs' own defaults come when they are made; only the Pods' are shown here.
  defaultPodTemplate(objectAt(spec, 'jobTemplate', 'spec', 'template'));
}

function defaultJobSpec(spec: JsonObject): void {
  defaultPodTemplate(objectAt(spec, 'template'));
  if (own(spec, 'completions') === undefined && own(spec, 'parallelism') === undefined) spec.completions = 1;
  setDefault(spec, 'parallelism', 1);
  setDefault(spec, 'backoffLimit', numberAt(spec, 'backoffLimitPerIndex') === undefined ? BACKOFF_LIMIT : BACKOFF_LIMIT_UNBOUNDED);
  setIfEmpty(spec, 'completionMode', 'NonIndexed');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'manualSelector', false);
  const policy = objectAt(spec, 'podFailurePolicy');
  setIfEmpty(spec, 'podReplacementPolicy', policy === undefined ? 'TerminatingOrFailed' : 'Failed');
  for (const rule of objectsAt(policy, 'rules')) {
    for (const condition of objectsAt(rule, 'onPodConditions')) setIfEmpty(condition, 'status', 'True');
  }
}

function inheritLabels(object: JsonObject, labels: JsonObject | undefined): void {
  if (labels === undefined || Object.keys(labels).length === 0) return;
  const metadata = ensureObject(object, 'metadata');
  if (Object.keys(objectAt(metadata, 'labels') ?? {}).length === 0) metadata.labels = { ...labels };
}
