import type { Container, Probe } from '@dure/api';
import { formatGoDuration } from '@dure/api';
import { type Clock, isAbort, messageOf } from '@dure/foundation';
import type { RuntimeService } from '@dure/runtime';
import { runInContainer } from '../container-exec.ts';
import { probeGrpc } from './grpc-probe.ts';
import { probeHttp } from './http-probe.ts';
import type { ProbeResult } from './probe-result.ts';
import { probeTcp } from './tcp-probe.ts';

export interface ProbeTarget {
  readonly container: Container;
  readonly containerId: string;
  readonly podIP: string;
}

/** One attempt of a probe, whatever its kind. @throws the signal's reason, nothing else. */
export async function runProbe(
  probe: Probe,
  target: ProbeTarget,
  runtime: RuntimeService,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  const { container, containerId, podIP } = target;
  try {
    if (probe.exec !== undefined) {
      const command = probe.exec.command ?? [];
      const { exitCode, output, timedOut } = await runInContainer(runtime, clock, containerId, command, timeoutMs, signal);
      if (timedOut)
        return { outcome: 'failure', message: `command timed out: "${command.join(' ')}" timed out after ${formatGoDuration(timeoutMs)}` };
      return { outcome: exitCode === 0 ? 'success' : 'failure', message: output };
    }
    if (probe.httpGet !== undefined) {
      const { host, port, path = '/', scheme = 'HTTP', httpHeaders = [] } = probe.httpGet;
      const number = portOf(container, port);
      const http = {
        scheme: scheme === 'HTTPS' ? 'https' : 'http',
        host: host || podIP,
        port: number,
        path,
        headers: httpHeaders,
      } as const;
      return await probeHttp(http, timeoutMs, clock, signal);
    }
    if (probe.tcpSocket !== undefined) {
      return await probeTcp(probe.tcpSocket.host || podIP, portOf(container, probe.tcpSocket.port), timeoutMs, clock, signal);
    }
    if (probe.grpc !== undefined) return await probeGrpc(podIP, probe.grpc.port, probe.grpc.service ?? '', timeoutMs, clock, signal);
    return { outcome: 'error', message: 'missing probe handler' };
  } catch (error) {
    if (isAbort(error, signal)) throw error;
    return { outcome: 'error', message: messageOf(error) };
  }
}

/** A port by number, or by the name it has in the container. @throws {Error} No such name. */
export function portOf(container: Container, port: number | string): number {
  const number = typeof port === 'number' ? port : (container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port));
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new Error(`couldn't find port: ${port} in container "${container.name}"`);
  return number;
}
