/** How `kubectl get pods` sums a Pod up. @see https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ */
import type { JsonObject, TableColumn } from '../../definition.ts';
import { humanDuration } from '../../human-duration.ts';
import { numberAt, objectAt, objectsAt, stringAt, trueAt } from '../../json-value.ts';
import { ageColumn, column, hasCondition, NONE, nameColumn, orNone, wide } from './column.ts';

export interface PodSummary {
  readonly ready: number;
  readonly total: number;
  /** The one word that explains the Pod's state best: `Running`, `Init:0/1`, `CrashLoopBackOff`, `Terminating`. */
  readonly status: string;
  readonly restarts: number;
  /** Undefined where nothing restarted yet. */
  readonly lastRestartMs: number | undefined;
}

export const podColumns: readonly TableColumn[] = [
  nameColumn,
  column('Ready', (pod) => readyText(summarizePod(pod))),
  column('Status', (pod) => summarizePod(pod).status),
  column('Restarts', (pod, nowMs) => restartsText(summarizePod(pod), nowMs)),
  ageColumn,
  wide('IP', (pod) => orNone(stringAt(objectsAt(pod, 'status', 'podIPs')[0], 'ip'))),
  wide('Node', (pod) => orNone(stringAt(pod, 'spec', 'nodeName'))),
  wide('Nominated Node', (pod) => orNone(stringAt(pod, 'status', 'nominatedNodeName'))),
  wide('Readiness Gates', readinessGates),
];

/** Derives the summary from spec and status alone. */
export function summarizePod(pod: JsonObject): PodSummary {
  const sidecars = new Set(
    objectsAt(pod, 'spec', 'initContainers')
      .filter(isSidecar)
      .map((container) => stringAt(container, 'name')),
  );
  const init = summarizeInit(pod, sidecars);
  let summary: Mutable<PodSummary> = {
    ready: init.ready,
    total: objectsAt(pod, 'spec', 'containers').length + sidecars.size,
    status: init.status ?? phaseReason(pod),
    restarts: init.restarts,
    lastRestartMs: init.lastRestartMs,
  };
  if (init.status === undefined || hasCondition(pod, 'Initialized')) summary = withContainers(pod, summary, init);
  if (stringAt(pod, 'metadata', 'deletionTimestamp') === '') return summary;
  if (stringAt(pod, 'status', 'reason') === 'NodeLost') return { ...summary, status: 'Unknown' };
  return isTerminal(stringAt(pod, 'status', 'phase')) ? summary : { ...summary, status: 'Terminating' };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface InitSummary {
  readonly ready: number;
  readonly restarts: number;
  readonly lastRestartMs: number | undefined;
  readonly sidecarRestarts: number;
  readonly sidecarLastRestartMs: number | undefined;
  /** Absent when initialization is over. */
  readonly status: string | undefined;
}

function summarizeInit(pod: JsonObject, sidecars: ReadonlySet<string>): InitSummary {
  const summary: Mutable<InitSummary> = {
    ready: 0,
    restarts: 0,
    lastRestartMs: undefined,
    sidecarRestarts: 0,
    sidecarLastRestartMs: undefined,
    status: undefined,
  };
  const planned = objectsAt(pod, 'spec', 'initContainers').length;
  for (const [index, container] of objectsAt(pod, 'status', 'initContainerStatuses').entries()) {
    const isSide = sidecars.has(stringAt(container, 'name'));
    const restarts = numberAt(container, 'restartCount') ?? 0;
    const endedMs = lastEndMs(container);
    summary.restarts += restarts;
    summary.lastRestartMs = later(summary.lastRestartMs, endedMs);
    if (isSide) {
      summary.sidecarRestarts += restarts;
      summary.sidecarLastRestartMs = later(summary.sidecarLastRestartMs, endedMs);
    }
    const terminated = objectAt(container, 'state', 'terminated');
    if (terminated !== undefined && (numberAt(terminated, 'exitCode') ?? 0) === 0) continue;
    if (isSide && trueAt(container, 'started')) {
      if (trueAt(container, 'ready')) summary.ready += 1;
      continue;
    }
    const waiting = stringAt(container, 'state', 'waiting', 'reason');
    if (terminated !== undefined) summary.status = `Init:${endReason(terminated)}`;
    else if (waiting !== '' && waiting !== 'PodInitializing') summary.status = `Init:${waiting}`;
    else summary.status = `Init:${index}/${planned}`;
    break;
  }
  return summary;
}

function withContainers(pod: JsonObject, before: PodSummary, init: InitSummary): PodSummary {
  const summary: Mutable<PodSummary> = { ...before, restarts: init.sidecarRestarts, lastRestartMs: init.sidecarLastRestartMs };
  let running = false;
  // The first container's reason wins, so it is looked at last.
  for (const container of objectsAt(pod, 'status', 'containerStatuses').toReversed()) {
    summary.restarts += numberAt(container, 'restartCount') ?? 0;
    summary.lastRestartMs = later(summary.lastRestartMs, lastEndMs(container));
    const waiting = stringAt(container, 'state', 'waiting', 'reason');
    const terminated = objectAt(container, 'state', 'terminated');
    if (waiting !== '') summary.status = waiting;
    else if (terminated !== undefined) summary.status = endReason(terminated);
    else if (trueAt(container, 'ready') && objectAt(container, 'state', 'running') !== undefined) {
      running = true;
      summary.ready += 1;
    }
  }
  if (summary.status === 'Completed' && running) summary.status = hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
  return summary;
}

function phaseReason(pod: JsonObject): string {
  const gated = objectsAt(pod, 'status', 'conditions').some(
    (condition) => stringAt(condition, 'type') === 'PodScheduled' && stringAt(condition, 'reason') === 'SchedulingGated',
  );
  if (gated) return 'SchedulingGated';
  const reason = stringAt(pod, 'status', 'reason');
  return reason === '' ? stringAt(pod, 'status', 'phase') : reason;
}

function endReason(terminated: JsonObject): string {
  const reason = stringAt(terminated, 'reason');
  if (reason !== '') return reason;
  const signal = numberAt(terminated, 'signal') ?? 0;
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${numberAt(terminated, 'exitCode') ?? 0}`;
}

function lastEndMs(container: JsonObject): number | undefined {
  const time = Date.parse(stringAt(container, 'lastState', 'terminated', 'finishedAt'));
  return Number.isNaN(time) ? undefined : time;
}

function later(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.max(a, b);
}

function readyText({ ready, total }: PodSummary): string {
  return `${ready}/${total}`;
}

function restartsText({ restarts, lastRestartMs }: PodSummary, nowMs: number): string {
  return restarts === 0 || lastRestartMs === undefined ? `${restarts}` : `${restarts} (${humanDuration(nowMs - lastRestartMs)} ago)`;
}

function readinessGates(pod: JsonObject): string {
  const gates = objectsAt(pod, 'spec', 'readinessGates');
  if (gates.length === 0) return NONE;
  return `${gates.filter((gate) => hasCondition(pod, stringAt(gate, 'conditionType'))).length}/${gates.length}`;
}

function isSidecar(container: JsonObject): boolean {
  return stringAt(container, 'restartPolicy') === 'Always';
}

function isTerminal(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}
