import { get } from 'node:http';
import { get as getTls } from 'node:https';
import type { Container, LifecycleHandler } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { RuntimeService } from '@dure/runtime';
import { runInContainer } from './container-exec.ts';
import { portOf } from './probes/run-probe.ts';

export interface HookTarget {
  readonly container: Container;
  readonly containerId: string;
  readonly podIP: string;
}

/** Runs a postStart or preStop handler to its end. @throws {Error} It failed; the message says how. */
export async function runHook(
  handler: LifecycleHandler,
  { container, containerId, podIP }: HookTarget,
  runtime: RuntimeService,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (handler.exec !== undefined) {
    const command = handler.exec.command ?? [];
    const { exitCode, output } = await runInContainer(runtime, clock, containerId, command, 0, signal);
    if (exitCode !== 0) throw new Error(`command '${command.join(' ')}' exited with ${exitCode}: ${output}`);
  } else if (handler.httpGet !== undefined) {
    const { host, port, path = '/', scheme, httpHeaders = [] } = handler.httpGet;
    const target = host || podIP;
    const authority = `${target.includes(':') ? `[${target}]` : target}:${portOf(container, port)}`;
    const url = new URL(`${scheme === 'HTTPS' ? 'https' : 'http'}://${authority}/${path.replace(/^\//, '')}`);
    const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name.toLowerCase(), value]));
    await call(url, { 'user-agent': 'kube-lifecycle/1.36', accept: '*/*', connection: 'close', ...headers }, signal);
  } else if (handler.sleep !== undefined) {
    await clock.sleep(Number(handler.sleep.seconds) * 1000, signal);
  } else {
    throw new Error('invalid handler: neither exec, httpGet nor sleep');
  }
}

function call(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { headers, agent: false, signal } as const;
    const request = url.protocol === 'https:' ? getTls(url, { ...options, rejectUnauthorized: false }) : get(url, options);
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      if (status < 200 || status >= 400) reject(new Error(`HTTP handler ${url.href} answered with status ${status}`));
      else resolve();
    });
  });
}
