import { kubectlPath } from './kubectl.ts';
import { RunningProcess, runCommand } from './process.ts';

export interface KubectlOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 120_000;

/** A real kubectl with one kubeconfig. */
export class Kubectl {
  readonly #program: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(program: string, env: NodeJS.ProcessEnv) {
    this.#program = program;
    this.#env = env;
  }

  static async open(kubeconfig: string, home: string): Promise<Kubectl> {
    // A home of its own: its discovery cache must not outlive the cluster it is about.
    return new Kubectl(await kubectlPath(), { ...process.env, KUBECONFIG: kubeconfig, HOME: home });
  }

  /** The same with other settings. */
  withEnv(env: NodeJS.ProcessEnv): Kubectl {
    return new Kubectl(this.#program, { ...this.#env, ...env });
  }

  get program(): string {
    return this.#program;
  }

  get env(): NodeJS.ProcessEnv {
    return this.#env;
  }

  /** Standard output of one command. @throws {Error} with what it said, if it fails. */
  async run(args: readonly string[], { input, timeoutMs = TIMEOUT_MS }: KubectlOptions = {}): Promise<string> {
    const { stdout } = await runCommand(this.#program, args, { env: this.#env, timeoutMs, ...(input === undefined ? {} : { input }) });
    return stdout;
  }

  /** `-o json` of one command, decoded. */
  async json<T = Readonly<Record<string, unknown>>>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'])) as T;
  }

  apply(manifest: string): Promise<string> {
    return this.run(['apply', '-f', '-'], { input: manifest });
  }

  /** What a failing command says. @throws {Error} It succeeds. */
  async fails(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    const failure = await this.run(args, options).then(
      (stdout) => {
        throw new Error(`kubectl ${args.join(' ')} succeeded: ${stdout}`);
      },
      (error: unknown) => error as Error,
    );
    if (failure.message.includes(') succeeded: ')) throw failure;
    return failure.message;
  }

  /** A command that goes on in the background. */
  start(args: readonly string[]): Promise<RunningProcess> {
    return RunningProcess.start(this.#program, args, { env: this.#env });
  }
}
