import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Kubectl, runCommand } from '@dure/test-support';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CLI = join(ROOT, 'apps/cli/bin/dure.mjs');
const UP_TIMEOUT_MS = 180_000;

/** What `up` wrote down of itself. */
interface UpState {
  readonly supervisor: { readonly pid: number };
  readonly processes: Readonly<Record<string, { readonly pid: number }>>;
}

export interface ClusterOptions {
  readonly nodes: number;
  /** `registries.json` for the agents. */
  readonly registries?: unknown;
  /** What the machine calls itself in a namespace of its own while it starts: the name of a single node. */
  readonly hostname?: string;
}

/** A cluster that the real `dure up` started from the built programs, in a data directory of its own. Dispose of it for `dure down`. */
export class TestCluster implements AsyncDisposable {
  readonly dataDir: string;
  readonly kubectl: Kubectl;

  private constructor(dataDir: string, kubectl: Kubectl) {
    this.dataDir = dataDir;
    this.kubectl = kubectl;
  }

  static async start(options: ClusterOptions): Promise<TestCluster> {
    const dataDir = await mkdtemp(join(tmpdir(), 'dure-e2e-'));
    await up(dataDir, options);
    return new TestCluster(dataDir, await Kubectl.open(join(dataDir, 'kubeconfig'), dataDir));
  }

  /** Starts it again after {@link stop}, or after its supervisor was killed. */
  async up(options: ClusterOptions): Promise<string> {
    return up(this.dataDir, options);
  }

  /** `dure` with this cluster's data directory. */
  async dure(...args: readonly string[]): Promise<string> {
    const { stdout } = await runCommand(process.execPath, [CLI, ...args], {
      env: { ...process.env, DURE_DATA_DIR: this.dataDir },
      timeoutMs: UP_TIMEOUT_MS,
    });
    return stdout;
  }

  /** The process number of one of `up`'s processes: `control-plane`, `agent node-1`, `proxy node-1`. */
  async pid(name: string): Promise<number> {
    const { processes } = await this.#state();
    const found = processes[name];
    if (found === undefined) throw new Error(`no process ${name}: ${Object.keys(processes).join(', ')}`);
    return found.pid;
  }

  async supervisorPid(): Promise<number> {
    return (await this.#state()).supervisor.pid;
  }

  async log(name: string): Promise<string> {
    return readFile(join(this.dataDir, 'logs', `${name}.log`), 'utf8');
  }

  /** `dure down`, and the data directory with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dure('down');
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async #state(): Promise<UpState> {
    return JSON.parse(await readFile(join(this.dataDir, 'up.json'), 'utf8')) as UpState;
  }
}

async function up(dataDir: string, { nodes, registries = {}, hostname }: ClusterOptions): Promise<string> {
  const registriesFile = join(dataDir, 'registries.json');
  await writeFile(registriesFile, JSON.stringify(registries));
  const command = [
    process.execPath,
    CLI,
    'up',
    '--detach',
    '--data-dir',
    dataDir,
    '--nodes',
    String(nodes),
    '--registries',
    registriesFile,
  ];
  const named = hostname === undefined ? command : ['unshare', '--uts', 'sh', '-c', 'hostname "$0"; exec "$@"', hostname, ...command];
  const [program = '', ...args] = named;
  const { stdout } = await runCommand(program, args, { timeoutMs: UP_TIMEOUT_MS });
  return stdout;
}
