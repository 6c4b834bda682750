import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Backoff, type Clock, isAbort, type Logger, retryDelayMs } from '@dure/foundation';
import { identityOf, type ProcessIdentity } from './process-identity.ts';

export interface SupervisedProcess {
  readonly name: string;
  /** argv; argv[0] is a program on PATH. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Receives stdout and stderr, appended. */
  readonly logPath: string;
}

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each start and end with what runs now. */
  readonly onChange: (running: ReadonlyMap<string, ProcessIdentity>) => void;
}

const RESTART: Backoff = { baseMs: 200, maxMs: 10_000 };
/** A process that held out this long has recovered: its next failure waits the shortest time again. */
const STEADY_MS = 60_000;
const STOP_GRACE_MS = 20_000;

/**
 * Keeps processes running until `stop`. Each is in a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone
 * and the order of stopping is its decision.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #running = new Map<string, ProcessIdentity>();
  readonly #loops = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /** Starts a process and restarts it whenever it ends, with backoff. */
  keep(process: SupervisedProcess): void {
    const stop = new AbortController();
    this.#loops.set(process.name, { stop, ended: this.#loop(process, stop.signal) });
  }

  /** Asks one process to end (SIGTERM, then SIGKILL after 20 s) and waits until it has. */
  async stop(name: string): Promise<void> {
    const loop = this.#loops.get(name);
    if (loop === undefined) return;
    loop.stop.abort(new Error('stopping'));
    await loop.ended;
    this.#loops.delete(name);
  }

  async #loop(process: SupervisedProcess, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    let failures = 0;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      const outcome = await this.#runOnce(process, signal);
      if (signal.aborted) return;
      failures = clock.monotonicMs() - startedMs > STEADY_MS ? 1 : failures + 1;
      const delayMs = retryDelayMs(failures, RESTART);
      log.warn('process ended, starting it again', { process: process.name, outcome, delayMs, logPath: process.logPath });
      try {
        await clock.sleep(delayMs, signal);
      } catch (error) {
        if (!isAbort(error, signal)) throw error;
      }
    }
  }

  async #runOnce({ name, argv, env, logPath }: SupervisedProcess, signal: AbortSignal): Promise<string> {
    mkdirSync(dirname(logPath), { recursive: true });
    const output = openSync(logPath, 'a', 0o600);
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { detached: true, stdio: ['ignore', output, output], env });
    closeSync(output);
    const ended = new Promise<string>((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('exit', (code, by) => resolve(by ?? `exit code ${code}`));
    });
    const identity = child.pid === undefined ? undefined : identityOf(child.pid);
    if (identity !== undefined) this.#running.set(name, identity);
    this.#deps.onChange(this.#running);
    const askToEnd = (): void => void this.#terminate(child, ended);
    signal.addEventListener('abort', askToEnd, { once: true });
    const outcome = await ended;
    signal.removeEventListener('abort', askToEnd);
    this.#running.delete(name);
    this.#deps.onChange(this.#running);
    return outcome;
  }

  async #terminate(child: ChildProcess, ended: Promise<string>): Promise<void> {
    child.kill('SIGTERM');
    const patience = new AbortController();
    const giveUp = this.#deps.clock.sleep(STOP_GRACE_MS, patience.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    await ended;
    patience.abort();
    await giveUp;
  }
}
