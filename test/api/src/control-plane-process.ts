import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, kubectlPath, RunningProcess, runCommand } from '@dure/test-support';

const MAIN = fileURLToPath(new URL('../../../apps/control-plane/src/main.ts', import.meta.url));
/** From TEST-NET-1: nobody is there, and nothing in these tests calls it. */
const ADVERTISED = '192.0.2.2';
const READY_TIMEOUT_MS = 60_000;

/** A control plane as a process of its own, with real clients before it. */
export class ControlPlaneProcess implements AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  #process: RunningProcess;
  readonly #kubectl: string;
  readonly #options: LaunchOptions;

  private constructor(directory: string, port: number, process: RunningProcess, kubectl: string, options: LaunchOptions) {
    this.directory = directory;
    this.port = port;
    this.#options = options;
    this.#process = process;
    this.#kubectl = kubectl;
  }

  /** @param options Of the command line, beside those that every test needs. */
  static async start(options: LaunchOptions = {}): Promise<ControlPlaneProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'dure-api-'));
    const port = await freePort();
    const process = await launch(directory, port, options);
    try {
      await process.waitForLine(/API server is ready/, READY_TIMEOUT_MS);
      return new ControlPlaneProcess(directory, port, process, await kubectlPath(), options);
    } catch (error) {
      await process.stop();
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** What it has said since its last start. */
  get output(): string {
    return this.#process.output;
  }

  /** Stops it in order and starts it again over the same data. */
  async restart(): Promise<void> {
    await this.#process.stop();
    this.#process = await launch(this.directory, this.port, this.#options);
    await this.#process.waitForLine(/API server is ready/, READY_TIMEOUT_MS);
  }

  /** Resident memory of the server, from the kernel. */
  async residentBytes(): Promise<number> {
    const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${this.#process.pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  }

  get kubeconfig(): string {
    return join(this.directory, 'kubeconfig');
  }

  /** What kubectl prints. @throws {Error} It failed; the message holds what it said. */
  async kubectl(args: readonly string[], input?: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { stdout } = await runCommand(this.#kubectl, this.#arguments(args), {
      timeoutMs: READY_TIMEOUT_MS,
      env: { ...process.env, ...env },
      ...(input === undefined ? {} : { input }),
    });
    return stdout;
  }

  /** A kubectl that keeps running, such as a watch. */
  startKubectl(args: readonly string[]): Promise<RunningProcess> {
    return RunningProcess.start(this.#kubectl, this.#arguments(args));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  #arguments(args: readonly string[]): readonly string[] {
    return ['--kubeconfig', this.kubeconfig, '--cache-dir', join(this.directory, 'cache'), ...args];
  }
}

export type LaunchOptions = Readonly<Record<`--${string}`, string>>;

/** The control plane's program over `directory`, as anybody starts it. */
export function launch(directory: string, port: number, further: LaunchOptions = {}): Promise<RunningProcess> {
  const options = {
    '--data-dir': join(directory, 'server'),
    '--kubeconfig': join(directory, 'kubeconfig'),
    '--listen': `127.0.0.1:${port}`,
    '--advertise-address': ADVERTISED,
    ...further,
  };
  return RunningProcess.start(process.execPath, ['--import', 'tsx', MAIN, ...Object.entries(options).flat()]);
}
