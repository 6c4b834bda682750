import type { Container, Pod, PodSpec } from '@dure/api';
import type { ContainerStatus as RuntimeContainer, SandboxStatus } from '@dure/runtime';
import { describe, expect, it } from 'vitest';
import { ANNOTATION, containersOf } from '../pod-identity.ts';
import type { CrashBackoff } from './crash-backoff.ts';
import { observationOf } from './observation.ts';
import { type ContainerProbes, type PlanContext, planPod } from './pod-plan.ts';

const NOW = 1_000_000;
const NO_PROBES: ContainerProbes = { startup: 'none', liveness: 'none', readiness: 'none' };

function pod(spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [container('a'), container('b')], restartPolicy: 'Always', ...spec },
    status: {},
  };
}

function container(name: string, more: Partial<Container> = {}): Container {
  return { name, image: 'app:1', ...more };
}

function sandbox(attempt = 0, state: SandboxStatus['state'] = 'ready'): SandboxStatus {
  const metadata = { name: 'web', namespace: 'default', uid: 'u1', attempt };
  return { id: `s${attempt}`, metadata, state, createdAtMs: attempt, labels: {}, annotations: {}, ips: ['10.42.0.9'] };
}

type RunState = 'running' | `exit ${number}` | 'created' | 'unknown';

function run(name: string, state: RunState, attempt = 0, more: Partial<RuntimeContainer> = {}): RuntimeContainer {
  const exitCode = state.startsWith('exit') ? Number(state.slice(5)) : undefined;
  return {
    id: `${name}-${attempt}`,
    sandboxId: 's0',
    metadata: { name, attempt },
    state: exitCode === undefined ? (state as 'running' | 'created' | 'unknown') : 'exited',
    createdAtMs: 0,
    image: 'app:1',
    labels: {},
    annotations: { [ANNOTATION.hash]: `${name}-hash` },
    logPath: '',
    ...(exitCode === undefined ? {} : { exitCode, finishedAtMs: NOW - 1000 }),
    ...more,
  };
}

interface Case {
  readonly title: string;
  readonly spec?: Partial<PodSpec>;
  readonly sandboxes?: readonly SandboxStatus[];
  readonly runs?: readonly RuntimeContainer[];
  readonly context?: Partial<PlanContext>;
  /** `start a`, `stop a`, `wait a`, `sandbox N`, `kill sN`, `finished`, `remove a-0`. */
  readonly expected: readonly string[];
}

const sidecar = container('side', { restartPolicy: 'Always' });
const init = (name: string): Container => container(name);
const backoff: CrashBackoff = { delayMs: 10_000, raisedAtMs: NOW - 5000 };

const CASES: readonly Case[] = [
  { title: 'nothing runs yet: a sandbox comes first', expected: ['sandbox 0'] },
  { title: 'a sandbox stands: all regular containers start', sandboxes: [sandbox()], expected: ['start a#0', 'start b#0'] },
  { title: 'all runs: nothing to do', sandboxes: [sandbox()], runs: [run('a', 'running'), run('b', 'running')], expected: [] },
  { title: 'one ended: it starts again', sandboxes: [sandbox()], runs: [run('a', 'exit 1'), run('b', 'running')], expected: ['start a#1'] },
  {
    title: 'one ended while backing off: it waits',
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 1'), run('b', 'running')],
    context: { backoffOf: () => backoff },
    expected: ['wait a'],
  },
  {
    title: 'a back-off of ten minutes ago is forgotten',
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 1'), run('b', 'running')],
    context: { backoffOf: () => ({ delayMs: 300_000, raisedAtMs: NOW - 602_000 }) },
    expected: ['start a#1'],
  },
  {
    title: 'OnFailure leaves what succeeded alone',
    spec: { restartPolicy: 'OnFailure' },
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 0'), run('b', 'exit 3')],
    expected: ['start b#1'],
  },
  {
    title: 'Never leaves everything alone',
    spec: { restartPolicy: 'Never' },
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 1'), run('b', 'running')],
    expected: [],
  },
  {
    title: 'Never, and all ended: the Pod is finished',
    spec: { restartPolicy: 'Never' },
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 1'), run('b', 'exit 0')],
    expected: ['finished'],
  },
  {
    title: 'OnFailure, and all succeeded: the Pod is finished',
    spec: { restartPolicy: 'OnFailure' },
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 0'), run('b', 'exit 0')],
    expected: ['finished'],
  },
  {
    title: 'a rule on the exit code restarts a container that Never would leave',
    spec: {
      restartPolicy: 'Never',
      containers: [
        container('a', {
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        }),
      ],
    },
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 42')],
    expected: ['start a#1'],
  },
  {
    title: 'the sandbox died: a new one, with the next number',
    sandboxes: [sandbox(0, 'not-ready')],
    runs: [run('a', 'exit 137'), run('b', 'exit 137')],
    expected: ['sandbox 1'],
  },
  {
    title: 'the sandbox of a Pod that never restarts died while it ran: no new one',
    spec: { restartPolicy: 'Never' },
    sandboxes: [sandbox(0, 'not-ready')],
    runs: [run('a', 'exit 137'), run('b', 'running')],
    expected: [],
  },
  {
    title: 'two sandboxes are ready: the older is killed',
    sandboxes: [sandbox(1), sandbox(0)],
    runs: [run('a', 'running', 0, { sandboxId: 's1' }), run('b', 'running', 0, { sandboxId: 's1' })],
    expected: ['kill s0'],
  },
  {
    title: 'init containers run one at a time',
    spec: { initContainers: [init('i1'), init('i2')] },
    sandboxes: [sandbox()],
    expected: ['start i1#0'],
  },
  {
    title: 'the second init container follows the success of the first',
    spec: { initContainers: [init('i1'), init('i2')] },
    sandboxes: [sandbox()],
    runs: [run('i1', 'exit 0')],
    expected: ['start i2#0'],
  },
  {
    title: 'a failed init container runs again, and nothing else yet',
    spec: { initContainers: [init('i1')] },
    sandboxes: [sandbox()],
    runs: [run('i1', 'exit 1')],
    expected: ['start i1#1'],
  },
  {
    title: 'a failed init container ends a Pod that never restarts',
    spec: { restartPolicy: 'Never', initContainers: [init('i1')] },
    sandboxes: [sandbox()],
    runs: [run('i1', 'exit 1')],
    expected: ['finished'],
  },
  {
    title: 'a running init container is waited for',
    spec: { initContainers: [init('i1')] },
    sandboxes: [sandbox()],
    runs: [run('i1', 'running')],
    expected: [],
  },
  {
    title: 'regular containers follow the last init container',
    spec: { initContainers: [init('i1')] },
    sandboxes: [sandbox()],
    runs: [run('i1', 'exit 0')],
    expected: ['start a#0', 'start b#0'],
  },
  {
    title: 'an init container whose run was removed is not run again',
    spec: { initContainers: [init('i1')] },
    sandboxes: [sandbox()],
    runs: [run('a', 'running'), run('b', 'running')],
    expected: [],
  },
  {
    title: 'a new sandbox is initialized anew',
    spec: { initContainers: [init('i1')] },
    sandboxes: [sandbox(1), sandbox(0, 'not-ready')],
    runs: [run('i1', 'exit 0'), run('a', 'exit 137'), run('b', 'exit 137')],
    expected: ['start i1#1'],
  },
  {
    title: 'a sidecar that runs lets the rest begin',
    spec: { initContainers: [sidecar] },
    sandboxes: [sandbox()],
    runs: [run('side', 'running')],
    expected: ['start a#0', 'start b#0'],
  },
  {
    title: 'a sidecar with a startup probe holds the rest back until it has succeeded',
    spec: { initContainers: [sidecar] },
    sandboxes: [sandbox()],
    runs: [run('side', 'running')],
    context: { probesOf: (name) => (name === 'side' ? { ...NO_PROBES, startup: 'pending' } : NO_PROBES) },
    expected: [],
  },
  {
    title: 'a sidecar that ended is started again beside what runs',
    spec: { initContainers: [sidecar] },
    sandboxes: [sandbox()],
    runs: [run('side', 'exit 0'), run('a', 'running'), run('b', 'running')],
    expected: ['start side#1'],
  },
  {
    title: 'a sidecar does not keep a finished Pod going',
    spec: { restartPolicy: 'Never', initContainers: [sidecar] },
    sandboxes: [sandbox()],
    runs: [run('side', 'running'), run('a', 'exit 0'), run('b', 'exit 0')],
    expected: ['finished'],
  },
  {
    title: 'a failed liveness probe stops the container',
    sandboxes: [sandbox()],
    runs: [run('a', 'running'), run('b', 'running')],
    context: { probesOf: (name) => (name === 'a' ? { ...NO_PROBES, liveness: 'failure' } : NO_PROBES) },
    expected: ['stop a liveness'],
  },
  {
    title: 'a container that the node stopped for its probe starts again without waiting',
    sandboxes: [sandbox()],
    runs: [run('a', 'exit 143'), run('b', 'running')],
    context: { restartNow: new Set(['a']), backoffOf: () => backoff },
    expected: ['start a#1'],
  },
  {
    title: 'a changed image replaces the container',
    sandboxes: [sandbox()],
    runs: [run('a', 'running', 0, { annotations: { [ANNOTATION.hash]: 'old' } }), run('b', 'running')],
    expected: ['stop a changed'],
  },
  {
    title: 'a container with work under way is left alone',
    sandboxes: [sandbox()],
    runs: [run('b', 'running')],
    context: { busy: new Set(['a']) },
    expected: [],
  },
  {
    title: 'an unknown container is stopped first',
    sandboxes: [sandbox()],
    runs: [run('a', 'unknown'), run('b', 'running')],
    expected: ['stop a unknown'],
  },
  {
    title: 'an ephemeral container starts once',
    spec: { ephemeralContainers: [{ name: 'debug', image: 'app:1' }] },
    sandboxes: [sandbox()],
    runs: [run('a', 'running'), run('b', 'running')],
    expected: ['start debug#0'],
  },
  {
    title: 'an ephemeral container that ended stays ended',
    spec: { ephemeralContainers: [{ name: 'debug', image: 'app:1' }] },
    sandboxes: [sandbox()],
    runs: [run('a', 'running'), run('b', 'running'), run('debug', 'exit 1')],
    expected: [],
  },
  {
    title: 'runs before the last but one are removed',
    sandboxes: [sandbox()],
    runs: [run('a', 'running', 2), run('a', 'exit 1', 1), run('a', 'exit 1', 0), run('b', 'running')],
    expected: ['remove a-0'],
  },
];

describe('the plan for a pod', () => {
  it.each(CASES)('$title', ({ spec = {}, sandboxes = [], runs = [], context = {}, expected }) => {
    const subject = pod(spec);
    const actions = planPod(subject, observationOf(sandboxes, runs), {
      nowMs: NOW,
      busy: new Set(),
      probesOf: () => NO_PROBES,
      backoffOf: () => undefined,
      restartNow: new Set(),
      hashOf: (one) => `${one.spec.name}-hash`,
      ...context,
    });
    const said = [
      ...actions.killSandboxes.map((id) => `kill ${id}`),
      ...(actions.createSandbox === undefined ? [] : [`sandbox ${actions.createSandbox.attempt}`]),
      ...actions.start.map(({ name, attempt }) => `start ${name}#${attempt}`),
      ...actions.stop.map(({ name, reason }) => `stop ${name} ${reason}`),
      ...actions.backoff.map(({ name }) => `wait ${name}`),
      ...actions.removeContainers.map((id) => `remove ${id}`),
      ...(actions.finished ? ['finished'] : []),
    ];
    expect(said).toEqual(expected);
  });

  it('wakes when the first back-off ends', () => {
    const actions = planPod(pod({}), observationOf([sandbox()], [run('a', 'exit 1'), run('b', 'exit 1')]), {
      nowMs: NOW,
      busy: new Set(),
      probesOf: () => NO_PROBES,
      backoffOf: (name) => ({ delayMs: name === 'a' ? 10_000 : 20_000, raisedAtMs: NOW - 5000 }),
      restartNow: new Set(),
      hashOf: () => '',
    });
    expect(actions.wakeAtMs).toBe(NOW + 9_000);
    expect(containersOf(pod({}))).toHaveLength(2);
  });
});
