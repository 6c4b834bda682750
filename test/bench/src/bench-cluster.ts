import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient, createNetworkTransport, loadKubeconfig, type NetworkTransport } from '@dure/client';
import { RunningProcess, runCommand } from '@dure/test-support';

const CLI = fileURLToPath(new URL('../../../apps/cli/bin/dure.mjs', import.meta.url));
const TIMEOUT_MS = 180_000;

/** A cluster that the real `dure up` started from the built programs. Dispose of it for `dure down`. Never outside namespaces made for it. */
export class BenchCluster implements AsyncDisposable {
  readonly client: Client;
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly #transport: NetworkTransport;

  private constructor(dataDir: string, kubeconfig: string, transport: NetworkTransport) {
    this.dataDir = dataDir;
    this.kubeconfig = kubeconfig;
    this.#transport = transport;
    this.client = createClient(transport, { userAgent: 'dure-bench' });
  }

  static async start(nodes: number): Promise<BenchCluster> {
    const dataDir = await mkdtemp(join(tmpdir(), 'dure-bench-cluster-'));
    try {
      await dure(dataDir, 'up', '--detach', '--nodes', String(nodes));
      return await BenchCluster.open(dataDir);
    } catch (error) {
      await end(dataDir);
      throw error;
    }
  }

  /**
   * Starts `up` and returns at once.
   * @returns Where it keeps its data, a function that gives the cluster once `up` has said that it is ready, and what it said it did.
   */
  static async startSlowly(
    nodes: number,
  ): Promise<{ readonly dataDir: string; ready(): Promise<BenchCluster>; steps(): readonly string[] }> {
    const dataDir = await mkdtemp(join(tmpdir(), 'dure-bench-cluster-'));
    const up = await RunningProcess.start(process.execPath, [CLI, 'up', '--detach', '--data-dir', dataDir, '--nodes', String(nodes)]);
    return {
      dataDir,
      steps: () => [...up.output.matchAll(/^dure: (.*): done in (.*)$/gm)].map(([, what, time]) => `${what} ${time}`),
      async ready() {
        const { code } = await up.exited;
        if (code === 0) return BenchCluster.open(dataDir);
        await end(dataDir);
        throw new Error(`dure up failed:\n${up.output}`);
      },
    };
  }

  private static async open(dataDir: string): Promise<BenchCluster> {
    const kubeconfig = join(dataDir, 'kubeconfig');
    return new BenchCluster(dataDir, kubeconfig, createNetworkTransport({ ...(await loadKubeconfig(kubeconfig)), connections: 128 }));
  }

  /** `dure` about this cluster. */
  dure(...args: readonly string[]): Promise<string> {
    return dure(this.dataDir, ...args);
  }

  /** Names of its processes, such as `control-plane` and `agent node-1`, with their numbers. */
  async processes(): Promise<ReadonlyMap<string, number>> {
    const state = JSON.parse(await readFile(join(this.dataDir, 'up.json'), 'utf8')) as {
      readonly processes: Readonly<Record<string, { readonly pid: number }>>;
      readonly supervisor: { readonly pid: number };
    };
    return new Map([
      ['supervisor', state.supervisor.pid],
      ...Object.entries(state.processes).map(([name, { pid }]): [string, number] => [name, pid]),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
    await end(this.dataDir);
  }
}

async function dure(dataDir: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, DURE_DATA_DIR: dataDir };
  const { stdout } = await runCommand(process.execPath, [CLI, ...args], { env, timeoutMs: TIMEOUT_MS });
  return stdout;
}

async function end(dataDir: string): Promise<void> {
  await dure(dataDir, 'down').finally(() => rm(dataDir, { recursive: true, force: true }));
}
