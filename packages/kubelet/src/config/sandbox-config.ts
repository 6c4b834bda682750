import type { Pod } from '@dure/api';
import type { SandboxConfig } from '@dure/runtime';
import { LABEL } from '../pod-identity.ts';
import { cgroupParentOf, podTotals } from './qos.ts';

export interface SandboxInput {
  readonly attempt: number;
  readonly hostname: string;
  readonly logDirectory: string;
  /** Processes a Pod may have; `undefined`: no limit. */
  readonly podPidsMax: number | undefined;
}

/** The Pod's sandbox in CRI's words. Pure. */
export function sandboxConfigOf(pod: Pod, { attempt, hostname, logDirectory, podPidsMax }: SandboxInput): SandboxConfig {
  const { name, namespace = '', uid } = pod.metadata;
  const { hostNetwork = false, hostPID = false, hostIPC = false, shareProcessNamespace = false, securityContext } = pod.spec ?? {};
  const totals = podTotals(pod);
  const sysctls = Object.fromEntries((securityContext?.sysctls ?? []).map((sysctl) => [sysctl.name.replaceAll('/', '.'), sysctl.value]));
  return {
    metadata: { name, namespace, uid, attempt },
    hostname,
    logDirectory,
    labels: { ...pod.metadata.labels, [LABEL.podName]: name, [LABEL.podNamespace]: namespace, [LABEL.podUid]: uid },
    annotations: pod.metadata.annotations ?? {},
    cgroupParent: cgroupParentOf(pod),
    namespaces: {
      network: hostNetwork ? 'node' : 'pod',
      pid: hostPID ? 'node' : shareProcessNamespace ? 'pod' : 'container',
      ipc: hostIPC ? 'node' : 'pod',
    },
    // A Pod's network is its own: a program without root may listen on its port 80.
    sysctls: hostNetwork ? sysctls : { 'net.ipv4.ip_unprivileged_port_start': '0', ...sysctls },
    resources: {
      cpuRequestMillis: totals.cpuRequestMillis,
      ...(totals.cpuLimitMillis === undefined ? {} : { cpuLimitMillis: totals.cpuLimitMillis }),
      ...(totals.memoryLimitBytes === undefined ? {} : { memoryLimitBytes: totals.memoryLimitBytes }),
      ...(podPidsMax === undefined ? {} : { pidsMax: podPidsMax }),
    },
  };
}
