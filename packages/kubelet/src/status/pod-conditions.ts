import type { ContainerStatus, Pod, PodCondition } from '@dure/api';
import { containersOf } from '../pod-identity.ts';
import type { PodPhase } from './pod-phase.ts';

export interface ConditionFacts {
  readonly phase: PodPhase;
  readonly statuses: ReadonlyMap<string, ContainerStatus>;
  readonly sandboxReady: boolean;
  readonly initialized: boolean;
  /** RFC 3339, for conditions that change now. */
  readonly now: string;
}

type Verdict = Pick<PodCondition, 'status'> & Partial<Pick<PodCondition, 'reason' | 'message'>>;

/** The conditions that a node owns. Others on the Pod (readiness gates, DisruptionTarget) are left as they are. */
export function conditionsOf(pod: Pod, facts: ConditionFacts): readonly PodCondition[] {
  const containersReady = containersReadyOf(pod, facts);
  const verdicts: readonly [string, Verdict][] = [
    ['PodReadyToStartContainers', { status: facts.sandboxReady ? 'True' : 'False' }],
    ['Initialized', initializedOf(pod, facts)],
    ['Ready', readyOf(pod, containersReady)],
    ['ContainersReady', containersReady],
    ['PodScheduled', { status: 'True' }],
  ];
  return verdicts.map(([type, verdict]) => {
    const old = pod.status?.conditions?.find((condition) => condition.type === type);
    const unchanged = old !== undefined && old.status === verdict.status;
    return {
      type,
      ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
      lastTransitionTime: (unchanged ? old.lastTransitionTime : undefined) ?? facts.now,
      ...verdict,
    };
  });
}

function initializedOf(pod: Pod, { phase, statuses, initialized }: ConditionFacts): Verdict {
  const chain = containersOf(pod).filter(({ kind }) => kind === 'init' || kind === 'sidecar');
  if (phase === 'Succeeded') return { status: 'True', ...(chain.length > 0 ? { reason: 'PodCompleted' } : {}) };
  if (chain.length === 0 || initialized) return { status: 'True' };
  const incomplete = chain
    .filter(({ kind, spec }) => {
      const status = statuses.get(spec.name);
      return kind === 'init' ? status?.state?.terminated?.exitCode !== 0 : status?.started !== true;
    })
    .map(({ spec }) => spec.name);
  if (incomplete.length === 0) return { status: 'True' };
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.join(' ')}]`,
  };
}

function containersReadyOf(pod: Pod, { phase, statuses }: ConditionFacts): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const unknown: string[] = [];
  const unready: string[] = [];
  for (const { kind, spec } of containersOf(pod)) {
    if (kind !== 'regular' && kind !== 'sidecar') continue;
    const status = statuses.get(spec.name);
    if (status === undefined) unknown.push(spec.name);
    else if (!status.ready) unready.push(spec.name);
  }
  const parts = [
    ...(unknown.length > 0 ? [`containers with unknown status: [${unknown.join(' ')}]`] : []),
    ...(unready.length > 0 ? [`containers with unready status: [${unready.join(' ')}]`] : []),
  ];
  if (parts.length === 0) return { status: 'True' };
  return { status: 'False', reason: 'ContainersNotReady', message: parts.join(', ') };
}

function readyOf(pod: Pod, containersReady: Verdict): Verdict {
  if (containersReady.status !== 'True') return containersReady;
  const faults: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const condition = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (condition === undefined) faults.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (condition.status !== 'True')
      faults.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`);
  }
  return faults.length === 0 ? { status: 'True' } : { status: 'False', reason: 'ReadinessGatesNotReady', message: faults.join(', ') };
}
