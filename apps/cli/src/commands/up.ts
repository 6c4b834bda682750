import { spawn } from 'node:child_process';
import { mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { systemClock, systemRandom } from '@dure/foundation';
import { requireRoot, UserFault } from '../fault.ts';
import { kubeconfigPath, type UpOptions } from '../up/cluster-plan.ts';
import { Progress } from '../up/progress.ts';
import { up } from '../up/up.ts';

/** On this descriptor a detached `up` tells the one that started it what it does; the last line is {@link READY}. */
const REPORT_FD = 3;
const READY = 'ready';

export interface UpCommandOptions extends UpOptions {
  readonly detach: boolean;
}

/** Foreground: returns when Ctrl-C has stopped everything. Detached: returns when the cluster is ready. */
export async function runUp(options: UpCommandOptions): Promise<void> {
  requireRoot('up', 'it makes namespaces, mounts, cgroups, links and routes for Pods');
  mkdirSync(options.dataDir, { recursive: true, mode: 0o755 });
  if (options.detach) return detach(options);
  const report = process.env.DURE_UP_REPORT === '1' ? reportTo(REPORT_FD) : console.log;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  const progress = new Progress(systemClock, (line) => report(`dure: ${line}`));
  const onReady = (): void => {
    report(readyMessage(options));
    if (report !== console.log) report(READY);
  };
  await up(options, { clock: systemClock, random: systemRandom, progress }, onReady, stop.signal);
}

/** Starts this command again in a session of its own and passes its words on until it is ready. */
async function detach({ dataDir, listen, nodes, registries }: UpCommandOptions): Promise<void> {
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const log = openSync(join(dataDir, 'logs', 'up.log'), 'a', 0o600);
  const args = [
    process.argv[1] ?? '',
    'up',
    '--data-dir',
    dataDir,
    '--listen',
    listen,
    '--nodes',
    String(nodes),
    ...(registries === undefined ? [] : ['--registries', registries]),
  ];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    env: { ...process.env, DURE_UP_REPORT: '1' },
  });
  const report = child.stdio[REPORT_FD] as Readable;
  const lines = createInterface({ input: report });
  for await (const line of lines) {
    if (line === READY) {
      // Both would keep this process waiting for the other one's end.
      report.destroy();
      child.unref();
      return;
    }
    console.log(line);
  }
  throw new UserFault(`the cluster did not start; see ${join(dataDir, 'logs')}`);
}

/** Writes lines to a descriptor whose reader goes away once it has heard enough. */
function reportTo(fd: number): (line: string) => void {
  let open = true;
  return (line) => {
    if (!open) return;
    try {
      writeSync(fd, `${line}\n`);
    } catch {
      open = false;
    }
  };
}

function readyMessage({ dataDir, listen }: UpCommandOptions): string {
  return [
    'dure: ready',
    `  API server  https://${listen.replace(/^0\.0\.0\.0:/, '127.0.0.1:')}`,
    `  kubeconfig  ${kubeconfigPath(dataDir)}`,
    `  logs        ${join(dataDir, 'logs')}`,
    `  try         kubectl --kubeconfig ${kubeconfigPath(dataDir)} get nodes`,
  ].join('\n');
}
