import { connect } from 'node:net';
import type { Clock } from '@dure/foundation';
import { dialFailure, withDeadline } from './deadline.ts';
import type { ProbeResult } from './probe-result.ts';

/** Succeeds when a connection can be made. */
export async function probeTcp(host: string, port: number, timeoutMs: number, clock: Clock, signal: AbortSignal): Promise<ProbeResult> {
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return withDeadline(
    timeoutMs,
    clock,
    signal,
    `dial tcp ${target}: i/o timeout`,
    (stop) =>
      new Promise<ProbeResult>((resolve) => {
        const socket = connect({ host, port });
        const end = (result: ProbeResult): void => {
          socket.destroy();
          resolve(result);
        };
        socket.on('connect', () => end({ outcome: 'success', message: '' }));
        socket.on('error', (error) => end({ outcome: 'failure', message: `dial tcp ${target}: ${dialFailure(error)}` }));
        stop.addEventListener('abort', () => socket.destroy(), { once: true });
      }),
  );
}
