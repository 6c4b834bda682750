import type { ContainerConfig, ExecRequest } from './contract.ts';
import type { Directive } from './plan.ts';
import { type ContainerFacts, planProcess } from './plan-container.ts';
import type { ProcessIdentity } from './process-identity.ts';

export interface ExecFacts extends Pick<ContainerFacts, 'availableCapabilities' | 'seccomp' | 'sandbox' | 'supervisorCgroup' | 'cgroup'> {
  /** The container's program, which names the namespaces and the cgroup to join. */
  readonly target: ProcessIdentity;
  readonly cgroupMount: string;
}

/** One more program in a container: its own argv and environment, the container's security. */
export function planExec(config: ContainerConfig, request: ExecRequest, facts: ExecFacts): readonly Directive[] {
  return [
    ['target', facts.target.pid, facts.target.startTime, facts.cgroupMount, facts.cgroup],
    ['supervisor-cgroup', facts.supervisorCgroup],
    ...(request.tty ? [['terminal', 0, 0] as const] : []),
    ['stdin', request.stdin ? 'once' : 'none'],
    ...planProcess({ ...config, tty: request.tty }, request.command, [...config.env, ...(request.env ?? [])], facts),
  ];
}
