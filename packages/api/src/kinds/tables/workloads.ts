/** Tables of the kinds that run Pods, and of what scales and guards them. */
import type { JsonObject, TableColumn } from '../../definition.ts';
import { formatAge, humanDuration } from '../../human-duration.ts';
import { isJsonObject, listAt, numberAt, objectAt, objectsAt, stringAt, valueAt } from '../../json-value.ts';
import {
  ageColumn,
  column,
  containerColumns,
  count,
  flag,
  hasCondition,
  labelsText,
  NONE,
  nameColumn,
  text,
  UNKNOWN,
  UNSET,
  wide,
} from './column.ts';
import { selectorText } from './core.ts';

export const deploymentColumns: readonly TableColumn[] = [
  nameColumn,
  column('Ready', readyOfDesired),
  column('Up-to-date', count('status', 'updatedReplicas')),
  column('Available', count('status', 'availableReplicas')),
  ageColumn,
  ...containerColumns('spec', 'template'),
  wide('Selector', selectorText('spec', 'selector')),
];

/** Of the `scale` subresource of any kind. */
export const scaleColumns: readonly TableColumn[] = [
  nameColumn,
  column('Desired', count('spec', 'replicas'), 'integer'),
  column('Available', count('status', 'replicas'), 'integer'),
  ageColumn,
];

export const replicaSetColumns: readonly TableColumn[] = [
  nameColumn,
  column('Desired', count('spec', 'replicas'), 'integer'),
  column('Current', count('status', 'replicas'), 'integer'),
  column('Ready', count('status', 'readyReplicas'), 'integer'),
  ageColumn,
  ...containerColumns('spec', 'template'),
  wide('Selector', selectorText('spec', 'selector')),
];

export const statefulSetColumns: readonly TableColumn[] = [
  nameColumn,
  column('Ready', readyOfDesired),
  ageColumn,
  ...containerColumns('spec', 'template'),
];

export const daemonSetColumns: readonly TableColumn[] = [
  nameColumn,
  column('Desired', count('status', 'desiredNumberScheduled'), 'integer'),
  column('Current', count('status', 'currentNumberScheduled'), 'integer'),
  column('Ready', count('status', 'numberReady'), 'integer'),
  column('Up-to-date', count('status', 'updatedNumberScheduled'), 'integer'),
  column('Available', count('status', 'numberAvailable'), 'integer'),
  column('Node Selector', (set) => labelsText(objectAt(set, 'spec', 'template', 'spec', 'nodeSelector'))),
  ageColumn,
  ...containerColumns('spec', 'template'),
  wide('Selector', selectorText('spec', 'selector')),
];

export const controllerRevisionColumns: readonly TableColumn[] = [
  nameColumn,
  column('Controller', controllerText),
  column('Revision', count('revision'), 'integer'),
  ageColumn,
];

export const jobColumns: readonly TableColumn[] = [
  nameColumn,
  column('Status', jobStatus),
  column('Completions', completions),
  column('Duration', jobDuration),
  ageColumn,
  ...containerColumns('spec', 'template'),
  wide('Selector', selectorText('spec', 'selector')),
];

export const cronJobColumns: readonly TableColumn[] = [
  nameColumn,
  column('Schedule', (job) => stringAt(job, 'spec', 'schedule')),
  column('Timezone', text('spec', 'timeZone')),
  column('Suspend', flag('spec', 'suspend')),
  column('Active', (job) => listAt(job, 'status', 'active').length, 'integer'),
  column('Last Schedule', (job, nowMs) => {
    const time = stringAt(job, 'status', 'lastScheduleTime');
    return time === '' ? NONE : formatAge(time, nowMs);
  }),
  ageColumn,
  ...containerColumns('spec', 'jobTemplate', 'spec', 'template'),
  wide('Selector', selectorText('spec', 'jobTemplate', 'spec', 'selector')),
];

export const podDisruptionBudgetColumns: readonly TableColumn[] = [
  nameColumn,
  column('Min Available', intOrNA('spec', 'minAvailable')),
  column('Max Unavailable', intOrNA('spec', 'maxUnavailable')),
  column('Allowed Disruptions', count('status', 'disruptionsAllowed'), 'integer'),
  ageColumn,
];

export const horizontalPodAutoscalerColumns: readonly TableColumn[] = [
  nameColumn,
  column('Reference', (hpa) => `${stringAt(hpa, 'spec', 'scaleTargetRef', 'kind')}/${stringAt(hpa, 'spec', 'scaleTargetRef', 'name')}`),
  column('Targets', metricsText),
  column('MinPods', (hpa) => String(numberAt(hpa, 'spec', 'minReplicas') ?? UNSET)),
  column('MaxPods', count('spec', 'maxReplicas'), 'integer'),
  column('Replicas', count('status', 'currentReplicas'), 'integer'),
  ageColumn,
];

/** The older version of the same kind knows one metric. */
export const horizontalPodAutoscalerV1Columns: readonly TableColumn[] = horizontalPodAutoscalerColumns.map((each) =>
  each.name === 'Targets'
    ? column('Targets', (hpa) => {
        const target = numberAt(hpa, 'spec', 'targetCPUUtilizationPercentage');
        const current = numberAt(hpa, 'status', 'currentCPUUtilizationPercentage');
        return target === undefined ? NONE : `cpu: ${current === undefined ? UNKNOWN : `${current}%`}/${target}%`;
      })
    : each,
);

function readyOfDesired(object: JsonObject): string {
  return `${numberAt(object, 'status', 'readyReplicas') ?? 0}/${numberAt(object, 'spec', 'replicas') ?? 0}`;
}

function controllerText(revision: JsonObject): string {
  const owner = objectsAt(revision, 'metadata', 'ownerReferences').find((reference) => reference.controller === true);
  if (owner === undefined) return NONE;
  const [group = ''] = stringAt(owner, 'apiVersion').includes('/') ? stringAt(owner, 'apiVersion').split('/') : [];
  const kind = stringAt(owner, 'kind').toLowerCase();
  return `${group === '' ? kind : `${kind}.${group}`}/${stringAt(owner, 'name')}`;
}

function jobStatus(job: JsonObject): string {
  if (hasCondition(job, 'Complete')) return 'Complete';
  if (hasCondition(job, 'Failed')) return 'Failed';
  if (stringAt(job, 'metadata', 'deletionTimestamp') !== '') return 'Terminating';
  for (const condition of ['Suspended', 'FailureTarget', 'SuccessCriteriaMet']) if (hasCondition(job, condition)) return condition;
  return 'Running';
}

function completions(job: JsonObject): string {
  const succeeded = numberAt(job, 'status', 'succeeded') ?? 0;
  const wanted = numberAt(job, 'spec', 'completions');
  if (wanted !== undefined) return `${succeeded}/${wanted}`;
  const parallelism = numberAt(job, 'spec', 'parallelism') ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(job: JsonObject, nowMs: number): string {
  const startMs = Date.parse(stringAt(job, 'status', 'startTime'));
  if (Number.isNaN(startMs)) return '';
  const endMs = Date.parse(stringAt(job, 'status', 'completionTime'));
  return humanDuration((Number.isNaN(endMs) ? nowMs : endMs) - startMs);
}

function intOrNA(...path: readonly string[]): (object: JsonObject) => string {
  return (object) => {
    const value = valueAt(object, ...path);
    return value === undefined ? 'N/A' : String(value);
  };
}

const METRICS_SHOWN_MAX = 2;

function metricsText(hpa: JsonObject): string {
  const metrics = objectsAt(hpa, 'spec', 'metrics');
  if (metrics.length === 0) return NONE;
  const current = objectsAt(hpa, 'status', 'currentMetrics');
  const shown = metrics.slice(0, METRICS_SHOWN_MAX).map((metric, index) => metricText(metric, current[index]));
  const rest = metrics.length - METRICS_SHOWN_MAX;
  return rest > 0 ? `${shown.join(', ')} + ${rest} more...` : shown.join(', ');
}

/** `cpu: 20%/80%`, `10Mi/100Mi (avg)`. */
function metricText(metric: JsonObject, current: JsonObject | undefined): string {
  const type = stringAt(metric, 'type');
  const field = type.charAt(0).toLowerCase() + type.slice(1);
  const target = objectAt(metric, field, 'target');
  const now = objectAt(current, field, 'current');
  const name = type.endsWith('Resource') ? `${stringAt(metric, field, 'name')}: ` : '';
  const utilization = numberAt(target, 'averageUtilization');
  if (utilization !== undefined) {
    const reached = numberAt(now, 'averageUtilization');
    return `${name}${reached === undefined ? UNKNOWN : `${reached}%`}/${utilization}%`;
  }
  const average = stringAt(target, 'averageValue');
  if (average !== '')
    return `${name}${stringAt(now, 'averageValue') || UNKNOWN}/${average}${isJsonObject(target) && type !== 'Pods' ? ' (avg)' : ''}`;
  return `${name}${stringAt(now, 'value') || UNKNOWN}/${stringAt(target, 'value')}`;
}
