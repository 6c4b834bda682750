/** The kinds that make Pods. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { cloneJson, listAt, numberAt, objectAt, objectsAt, own, semanticEqual, stringAt } from '../../json-value.ts';
import { checkPercent } from '../../name-syntax.ts';
import {
  validatePodTemplate,
  validateServingTemplate,
  validateTemplateLabels,
  validateTemplateSelector,
} from '../pods/pod-template-validation.ts';
import { checked, immutable, nonNegative, oneOf } from '../rules.ts';

const DEPLOYMENT_STRATEGIES = ['Recreate', 'RollingUpdate'];
const UPDATE_STRATEGIES = ['OnDelete', 'RollingUpdate'];

export function validateDeployment(deployment: JsonObject): FieldError[] {
  const spec = objectAt(deployment, 'spec') ?? {};
  const errors = [...nonNegative(spec, 'replicas', 'spec'), ...validateTemplateSelector(spec, 'spec', 'deployment')];
  errors.push(...validateServingTemplate(objectAt(spec, 'template'), 'spec.template', 'Deployment'));
  errors.push(...validateDeploymentStrategy(objectAt(spec, 'strategy') ?? {}));
  for (const field of ['minReadySeconds', 'revisionHistoryLimit']) errors.push(...nonNegative(spec, field, 'spec'));
  const deadline = numberAt(spec, 'progressDeadlineSeconds');
  errors.push(...nonNegative(spec, 'progressDeadlineSeconds', 'spec'));
  if (deadline !== undefined && deadline <= (numberAt(spec, 'minReadySeconds') ?? 0)) {
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return errors;
}

export function validateSelectorUpdate(object: JsonObject, old: JsonObject): FieldError[] {
  return immutable(objectAt(object, 'spec') ?? {}, objectAt(old, 'spec') ?? {}, 'selector', 'spec.selector');
}

export function validateReplicaSet(replicaSet: JsonObject): FieldError[] {
  const spec = objectAt(replicaSet, 'spec') ?? {};
  return [
    ...nonNegative(spec, 'replicas', 'spec'),
    ...nonNegative(spec, 'minReadySeconds', 'spec'),
    ...validateTemplateSelector(spec, 'spec', 'ReplicaSet'),
    ...validateServingTemplate(objectAt(spec, 'template'), 'spec.template', 'ReplicaSet'),
  ];
}

export function validateReplicationController(controller: JsonObject): FieldError[] {
  const spec = objectAt(controller, 'spec') ?? {};
  return [
    ...nonNegative(spec, 'replicas', 'spec'),
    ...nonNegative(spec, 'minReadySeconds', 'spec'),
    ...validateTemplateLabels(spec, 'spec'),
    ...validateServingTemplate(objectAt(spec, 'template'), 'spec.template', 'ReplicationController'),
  ];
}

export function validateDaemonSet(daemonSet: JsonObject): FieldError[] {
  const spec = objectAt(daemonSet, 'spec') ?? {};
  const errors = validateTemplateSelector(spec, 'spec', 'daemonset');
  errors.push(...validateServingTemplate(objectAt(spec, 'template'), 'spec.template', 'DaemonSet'));
  for (const field of ['minReadySeconds', 'revisionHistoryLimit']) errors.push(...nonNegative(spec, field, 'spec'));
  const strategy = objectAt(spec, 'updateStrategy') ?? {};
  const type = stringAt(strategy, 'type');
  if (!UPDATE_STRATEGIES.includes(type)) return [...errors, notSupported('spec.updateStrategy', type, ['RollingUpdate', 'OnDelete'])];
  if (type !== 'RollingUpdate') return errors;
  const rolling = objectAt(strategy, 'rollingUpdate');
  if (rolling === undefined) return [...errors, required('spec.updateStrategy.rollingUpdate')];
  const path = 'spec.updateStrategy.rollingUpdate';
  errors.push(...validateAmountOrPercent(rolling, 'maxUnavailable', path), ...validateAmountOrPercent(rolling, 'maxSurge', path));
  const unavailable = !isZero(own(rolling, 'maxUnavailable'));
  const surge = !isZero(own(rolling, 'maxSurge'));
  if (unavailable && surge)
    errors.push(invalid(`${path}.maxSurge`, own(rolling, 'maxSurge'), 'may not be set when maxUnavailable is non-zero'));
  if (!unavailable && !surge) errors.push(required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  return errors;
}

export function validateStatefulSet(statefulSet: JsonObject): FieldError[] {
  const spec = objectAt(statefulSet, 'spec') ?? {};
  const errors = [...nonNegative(spec, 'replicas', 'spec'), ...nonNegative(spec, 'minReadySeconds', 'spec')];
  errors.push(...oneOf(spec, 'podManagementPolicy', 'spec', ['OrderedReady', 'Parallel'], true));
  errors.push(...validateTemplateSelector(spec, 'spec', 'statefulset'));
  errors.push(...validateServingTemplate(withClaims(spec), 'spec.template', 'StatefulSet'));
  const strategy = objectAt(spec, 'updateStrategy') ?? {};
  const type = stringAt(strategy, 'type');
  if (!UPDATE_STRATEGIES.includes(type)) {
    errors.push(invalid('spec.updateStrategy', strategy, "must be 'RollingUpdate' or 'OnDelete'"));
  } else if (type === 'OnDelete' && objectAt(strategy, 'rollingUpdate') !== undefined) {
    errors.push(
      invalid('spec.updateStrategy.rollingUpdate', own(strategy, 'rollingUpdate'), "only allowed for updateStrategy 'RollingUpdate'"),
    );
  }
  errors.push(...nonNegative(objectAt(strategy, 'rollingUpdate') ?? {}, 'partition', 'spec.updateStrategy.rollingUpdate'));
  const retention = objectAt(spec, 'persistentVolumeClaimRetentionPolicy') ?? {};
  for (const field of ['whenDeleted', 'whenScaled']) {
    errors.push(...oneOf(retention, field, 'spec.persistentVolumeClaimRetentionPolicy', ['Delete', 'Retain']));
  }
  return [...errors, ...nonNegative(objectAt(spec, 'ordinals') ?? {}, 'start', 'spec.ordinals')];
}

const STATEFUL_SET_CHANGEABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export function validateStatefulSetUpdate(statefulSet: JsonObject, old: JsonObject): FieldError[] {
  const now = cloneJson(objectAt(statefulSet, 'spec') ?? {});
  const before = cloneJson(objectAt(old, 'spec') ?? {});
  for (const field of STATEFUL_SET_CHANGEABLE) {
    delete now[field];
    delete before[field];
  }
  if (semanticEqual(now, before)) return [];
  const names = STATEFUL_SET_CHANGEABLE.map((field) => `'${field}'`);
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return [forbidden('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)];
}

export function validateJob(job: JsonObject): FieldError[] {
  const spec = objectAt(job, 'spec') ?? {};
  const errors = validateJobSpec(spec, 'spec');
  if (own(spec, 'selector') === undefined) errors.push(required('spec.selector'));
  else errors.push(...validateTemplateSelector(spec, 'spec', 'job'));
  return errors;
}

/** What runs already may be stopped or sped up, not made into something else. */
export function validateJobUpdate(job: JsonObject, old: JsonObject): FieldError[] {
  const now = objectAt(job, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const fields = ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'];
  const errors = fields.flatMap((field) => immutable(now, before, field, `spec.${field}`));
  const elastic = stringAt(now, 'completionMode') === 'Indexed' && own(now, 'completions') === own(now, 'parallelism');
  if (!elastic) errors.push(...immutable(now, before, 'completions', 'spec.completions'));
  if (mayRetarget(old)) {
    const relaxed = { template: cloneJson(objectAt(now, 'template') ?? {}) };
    relaxDirectives(relaxed.template, objectAt(before, 'template') ?? {});
    errors.push(...immutable(relaxed, before, 'template', 'spec.template'));
  } else errors.push(...immutable(now, before, 'template', 'spec.template'));
  return errors;
}

export function validateCronJob(cronJob: JsonObject): FieldError[] {
  const spec = objectAt(cronJob, 'spec') ?? {};
  const errors: FieldError[] = [];
  const name = stringAt(cronJob, 'metadata', 'name');
  // A Job's name has eleven more characters, and its Pods carry it as a label.
  if (name.length > 52) errors.push(invalid('metadata.name', name, 'must be no more than 52 characters'));
  const schedule = stringAt(spec, 'schedule');
  if (schedule === '') errors.push(required('spec.schedule'));
  else if (!isSchedule(schedule))
    errors.push(invalid('spec.schedule', schedule, 'expected exactly 5 fields or a descriptor such as @daily'));
  if (/TZ=/.test(schedule))
    errors.push(invalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
  for (const field of ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit']) {
    errors.push(...nonNegative(spec, field, 'spec'));
  }
  errors.push(...oneOf(spec, 'concurrencyPolicy', 'spec', ['Allow', 'Forbid', 'Replace'], true));
  const zone = own(spec, 'timeZone');
  if (typeof zone === 'string' && !isTimeZone(zone)) errors.push(invalid('spec.timeZone', zone, `unknown time zone ${zone}`));
  const job = objectAt(spec, 'jobTemplate', 'spec') ?? {};
  return [...errors, ...validateJobSpec(job, 'spec.jobTemplate.spec')];
}

function validateJobSpec(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ]) {
    errors.push(...nonNegative(spec, field, path));
  }
  const mode = stringAt(spec, 'completionMode');
  if (mode !== '' && mode !== 'NonIndexed' && mode !== 'Indexed') {
    errors.push(notSupported(`${path}.completionMode`, mode, ['NonIndexed', 'Indexed']));
  }
  if (mode === 'Indexed' && numberAt(spec, 'completions') === undefined) {
    errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  if (mode !== 'Indexed' && numberAt(spec, 'backoffLimitPerIndex') !== undefined) {
    errors.push(invalid(`${path}.backoffLimitPerIndex`, numberAt(spec, 'backoffLimitPerIndex'), 'requires indexed completion mode'));
  }
  errors.push(...oneOf(spec, 'podReplacementPolicy', path, ['Failed', 'TerminatingOrFailed']));
  const template = objectAt(spec, 'template');
  errors.push(...validatePodTemplate(template, `${path}.template`));
  const policy = stringAt(template, 'spec', 'restartPolicy');
  if (policy === '' || policy === 'Always')
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  if (objectAt(spec, 'podFailurePolicy') !== undefined && policy !== 'Never') {
    errors.push(invalid(`${path}.template.spec.restartPolicy`, policy, 'only "Never" is supported when podFailurePolicy is specified'));
  }
  return errors;
}

function validateDeploymentStrategy(strategy: JsonObject): FieldError[] {
  const type = stringAt(strategy, 'type');
  const path = 'spec.strategy';
  if (!DEPLOYMENT_STRATEGIES.includes(type)) return [notSupported(`${path}.type`, type, DEPLOYMENT_STRATEGIES)];
  const rolling = objectAt(strategy, 'rollingUpdate');
  if (type === 'Recreate') {
    const rule = "may not be specified when strategy `type` is 'Recreate'";
    return rolling === undefined ? [] : [forbidden(`${path}.rollingUpdate`, rule)];
  }
  if (rolling === undefined) return [required(`${path}.rollingUpdate`, 'this should be defaulted and never be nil')];
  const at = `${path}.rollingUpdate`;
  const errors = [...validateAmountOrPercent(rolling, 'maxUnavailable', at), ...validateAmountOrPercent(rolling, 'maxSurge', at)];
  if (isZero(own(rolling, 'maxUnavailable')) && isZero(own(rolling, 'maxSurge'))) {
    errors.push(invalid(`${at}.maxUnavailable`, own(rolling, 'maxUnavailable'), 'may not be 0 when `maxSurge` is 0'));
  }
  return errors;
}

/** A number of Pods, or a share of them. */
export function validateAmountOrPercent(object: JsonObject, field: string, path: string): FieldError[] {
  const value = own(object, field);
  const at = `${path}.${field}`;
  if (typeof value === 'number') return value < 0 ? [invalid(at, value, 'must be greater than or equal to 0')] : [];
  if (typeof value !== 'string') return [];
  const faults = checked(at, value, checkPercent);
  if (faults.length > 0 || field === 'maxSurge') return faults;
  return Number.parseInt(value, 10) > 100 ? [invalid(at, value, 'must not be greater than 100%')] : [];
}

function isZero(value: unknown): boolean {
  return value === undefined || value === 0 || value === '0%';
}

/** Volumes from the set's own claim templates are there for its containers, too. */
function withClaims(spec: JsonObject): JsonObject | undefined {
  const template = objectAt(spec, 'template');
  const claims = objectsAt(spec, 'volumeClaimTemplates').map((claim) => stringAt(claim, 'metadata', 'name'));
  const podSpec = objectAt(template, 'spec');
  if (template === undefined || podSpec === undefined || claims.length === 0) return template;
  const known = listAt(podSpec, 'volumes').map((volume) => stringAt(volume as JsonObject, 'name'));
  const added = claims.filter((name) => !known.includes(name)).map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...podSpec, volumes: [...listAt(podSpec, 'volumes'), ...added] } };
}

/** A suspended Job that never ran may still be told where to run. */
function mayRetarget(job: JsonObject): boolean {
  return objectAt(job, 'spec')?.suspend === true && stringAt(job, 'status', 'startTime') === '';
}

function relaxDirectives(template: JsonObject, before: JsonObject): void {
  for (const [holder, fields] of [
    ['spec', ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates']],
    ['metadata', ['labels', 'annotations']],
  ] as const) {
    const now = objectAt(template, holder);
    if (now === undefined) continue;
    for (const field of fields) {
      const value = own(objectAt(before, holder), field);
      if (value === undefined) delete now[field];
      else now[field] = value;
    }
  }
}

const SCHEDULE_FIELD = /^(\*|\?|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(\/\d+)?(,(\*|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(\/\d+)?)*$/;
const DESCRIPTORS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

function isSchedule(schedule: string): boolean {
  if (schedule.startsWith('@')) return DESCRIPTORS.includes(schedule) || /^@every \S+$/.test(schedule);
  const fields = schedule.trim().split(/\s+/);
  return fields.length === 5 && fields.every((field) => SCHEDULE_FIELD.test(field));
}

function isTimeZone(zone: string): boolean {
  if (zone === '' || zone.toLowerCase() === 'local') return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
