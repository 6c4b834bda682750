/** autoscaling/v1 knows CPU alone; what else a v2 object says travels in annotations, so that nothing is lost on the way. */
import type { JsonObject, KindVersion } from '../../definition.ts';
import { isJsonObject, numberAt, objectAt, objectsAt, own, stringAt } from '../../json-value.ts';

const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';
const CURRENT_METRICS = 'autoscaling.alpha.kubernetes.io/current-metrics';
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';

export const autoscalerV1Conversion: Pick<KindVersion, 'toStorage' | 'fromStorage'> = { toStorage, fromStorage };

function toStorage(hpa: JsonObject): JsonObject {
  const { targetCPUUtilizationPercentage: target, ...spec } = objectAt(hpa, 'spec') ?? {};
  const { currentCPUUtilizationPercentage: current, ...status } = objectAt(hpa, 'status') ?? {};
  const annotations = { ...objectAt(hpa, 'metadata', 'annotations') };
  const metrics = [...taken(annotations, METRICS), ...(typeof target === 'number' ? [cpuMetric('target', target)] : [])];
  const currentMetrics = [...taken(annotations, CURRENT_METRICS), ...(typeof current === 'number' ? [cpuMetric('current', current)] : [])];
  const behavior = parse(annotations, BEHAVIOR);
  const conditions = taken(annotations, CONDITIONS);
  return {
    ...hpa,
    apiVersion: 'autoscaling/v2',
    metadata: withAnnotations(hpa, annotations),
    spec: { ...spec, ...(metrics.length > 0 ? { metrics } : {}), ...(isJsonObject(behavior) ? { behavior } : {}) },
    status: { ...status, ...(currentMetrics.length > 0 ? { currentMetrics } : {}), ...(conditions.length > 0 ? { conditions } : {}) },
  };
}

function fromStorage(hpa: JsonObject): JsonObject {
  const { metrics: _metrics, behavior, ...spec } = objectAt(hpa, 'spec') ?? {};
  const { currentMetrics: _current, conditions, ...status } = objectAt(hpa, 'status') ?? {};
  const annotations = { ...objectAt(hpa, 'metadata', 'annotations') };
  const metrics = objectsAt(hpa, 'spec', 'metrics');
  const target = metrics.find((metric) => isCpu(metric) && numberAt(metric, 'resource', 'target', 'averageUtilization') !== undefined);
  const current = objectsAt(hpa, 'status', 'currentMetrics');
  const reached = current.find((metric) => isCpu(metric) && numberAt(metric, 'resource', 'current', 'averageUtilization') !== undefined);
  keep(
    annotations,
    METRICS,
    metrics.filter((metric) => metric !== target),
  );
  keep(
    annotations,
    CURRENT_METRICS,
    current.filter((metric) => metric !== reached),
  );
  keep(annotations, CONDITIONS, Array.isArray(conditions) ? conditions : []);
  if (isJsonObject(behavior)) annotations[BEHAVIOR] = JSON.stringify(behavior);
  const targetPercent = numberAt(target, 'resource', 'target', 'averageUtilization');
  const reachedPercent = numberAt(reached, 'resource', 'current', 'averageUtilization');
  return {
    ...hpa,
    apiVersion: 'autoscaling/v1',
    metadata: withAnnotations(hpa, annotations),
    spec: { ...spec, ...(targetPercent === undefined ? {} : { targetCPUUtilizationPercentage: targetPercent }) },
    status: {
      currentReplicas: 0,
      desiredReplicas: 0,
      ...status,
      ...(reachedPercent === undefined ? {} : { currentCPUUtilizationPercentage: reachedPercent }),
    },
  };
}

function cpuMetric(side: 'target' | 'current', percent: number): JsonObject {
  const value = side === 'target' ? { type: 'Utilization', averageUtilization: percent } : { averageUtilization: percent };
  return { type: 'Resource', resource: { name: 'cpu', [side]: value } };
}

function isCpu(metric: JsonObject): boolean {
  return stringAt(metric, 'type') === 'Resource' && stringAt(metric, 'resource', 'name') === 'cpu';
}

function keep(annotations: JsonObject, name: string, values: readonly unknown[]): void {
  if (values.length > 0) annotations[name] = JSON.stringify(values);
}

function taken(annotations: JsonObject, name: string): JsonObject[] {
  const value = parse(annotations, name);
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** Takes an annotation out. One that clients broke is left as it is. */
function parse(annotations: JsonObject, name: string): unknown {
  const text = own(annotations, name);
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    delete annotations[name];
    return value;
  } catch {
    return undefined;
  }
}

function withAnnotations(hpa: JsonObject, annotations: JsonObject): JsonObject {
  const { annotations: _old, ...metadata } = objectAt(hpa, 'metadata') ?? {};
  return Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations };
}
