import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadKubeconfig } from '@dure/client';
import { freePort, RunningProcess } from '@dure/test-support';
import { CONTROL_PLANE_FLAGS, nodeFlags } from './node-program.ts';
import { trialSetting } from './trial-settings.ts';

const PROGRAM = fileURLToPath(new URL('../../../apps/control-plane/dist/main.cjs', import.meta.url));
/** From TEST-NET-1: nobody is there, and nothing here calls it. */
const ADVERTISED = '192.0.2.2';
const READY_TIMEOUT_MS = 60_000;

/** What a client of its administrator needs to connect. */
export interface ServerAccess {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The built control plane as a process of its own, with an embedded store on the disk of temporary files. */
export interface BenchServer extends AsyncDisposable {
  readonly pid: number;
  readonly access: ServerAccess;
}

export async function startBenchServer(): Promise<BenchServer> {
  const directory = await mkdtemp(join(tmpdir(), 'dure-bench-api-'));
  const port = await freePort();
  const kubeconfig = join(directory, 'kubeconfig');
  const process = await RunningProcess.start(globalThis.process.execPath, [
    ...nodeFlags(CONTROL_PLANE_FLAGS),
    trialSetting('DURE_BENCH_CONTROL_PLANE') ?? PROGRAM,
    ...['--data-dir', join(directory, 'server'), '--kubeconfig', kubeconfig],
    ...['--listen', `127.0.0.1:${port}`, '--advertise-address', ADVERTISED],
  ]);
  const end = async (): Promise<void> => {
    await process.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await process.waitForLine(/API server is ready/, READY_TIMEOUT_MS);
    const { ca = '', certificate: cert = '', key = '' } = await loadKubeconfig(kubeconfig);
    return { pid: process.pid, access: { host: '127.0.0.1', port, ca, cert, key }, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}
