import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Runs a program to its end, without a shell. @throws {Error} It failed; the message ends with what it said. */
export function runCommand(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<CommandResult> {
  const { input, timeoutMs = 0, ...rest } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, { ...rest, timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr });
      else
        reject(
          new Error(
            `${file} ${args.join(' ')}: ${error.killed === true ? 'timed out' : `exit ${String(error.code)}`}\n${stderr.slice(-4000)}${stdout.slice(-2000)}`,
            { cause: error },
          ),
        );
    });
    // A program that ends before it has read everything is judged by its exit code.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}

/** Where a program is, `undefined` if PATH has none of that name. */
export async function findProgram(name: string): Promise<string | undefined> {
  // Services live in sbin, which the PATH of ordinary users leaves out.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const directory of directories) {
    const path = join(directory, name);
    const isProgram = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isProgram) return path;
  }
  return undefined;
}

/** How a process ended: by itself or by a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A running program whose output is kept. Dispose of it to end it. */
export class RunningProcess implements AsyncDisposable {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #output = '';
  #exit: Exit | undefined;

  private constructor(child: ChildProcess, pid: number, name: string) {
    this.#child = child;
    this.pid = pid;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_BYTES_MAX);
        this.#wake();
      });
    }
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        this.#wake();
        resolve(this.#exit);
      });
    });
    this.name = name;
  }

  readonly name: string;

  /** @throws {Error} The program cannot be started. */
  static async start(file: string, args: readonly string[], options: StartOptions = {}): Promise<RunningProcess> {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(new Error(`start ${file}: ${cause.message}`, { cause })));
    });
    if (child.pid === undefined) throw new Error(`start ${file}: it has no process id`);
    return new RunningProcess(child, child.pid, file);
  }

  /** Standard output and error so far, in order of arrival. */
  get output(): string {
    return this.#output;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** The first line of output that matches, already there or still to come. @throws {Error} It ended first, or took longer. */
  async waitForLine(pattern: RegExp, timeoutMs = 20_000): Promise<string> {
    const deadline = new AbortController();
    const timer = sleep(timeoutMs, 'late' as const, { signal: deadline.signal }).catch(() => 'late' as const);
    try {
      for (;;) {
        const line = this.#output.split('\n').find((text) => pattern.test(text));
        if (line !== undefined) return line;
        if (this.#exit !== undefined)
          throw new Error(`${this.name} ended (${JSON.stringify(this.#exit)}) without a line ${pattern}\n${this.#output.slice(-4000)}`);
        const news = new Promise<'news'>((resolve) => this.#watchers.add(() => resolve('news')));
        if ((await Promise.race([news, timer])) === 'late')
          throw new Error(`${this.name}: no line ${pattern} in ${timeoutMs} ms\n${this.#output.slice(-4000)}`);
      }
    } finally {
      deadline.abort();
    }
  }

  /** Sends a signal; a process that has ended is left alone. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }

  /** Asks it to end, insists after `graceMs`, and waits until it has ended. */
  async stop(graceMs = 5_000): Promise<Exit> {
    this.kill('SIGTERM');
    const cancel = new AbortController();
    const late = sleep(graceMs, undefined, { signal: cancel.signal }).catch(() => undefined);
    const ended = await Promise.race([this.exited, late]);
    cancel.abort();
    if (ended === undefined) this.kill('SIGKILL');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) {
      this.#watchers.delete(watcher);
      watcher();
    }
  }
}
