import { spawn } from 'node:child_process';
import type { Command } from './virtual-node.ts';

/** A program that `dure` ran on the host failed. */
export class CommandFailedError extends Error {
  override readonly name = 'CommandFailedError';
  readonly code = 'COMMAND_FAILED';

  constructor(argv: readonly string[], outcome: string, options?: ErrorOptions) {
    super(`${argv.join(' ')}: ${outcome}`, options);
  }
}

/** Runs one command and gives what it printed. @throws {CommandFailedError} It ended with another code than 0 and may not. */
export function runCommand({ argv, stdin, mayFail = false }: Command): Promise<string> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    // A program that does not read its input closes it early; its exit code tells what happened.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
    child.on('error', (cause) => reject(new CommandFailedError(argv, 'cannot be started', { cause })));
    child.on('close', (code, signal) => {
      if (code === 0 || mayFail) resolve(Buffer.concat(output).toString());
      else reject(new CommandFailedError(argv, `${signal ?? `exit code ${code}`}: ${Buffer.concat(errors).toString().trim()}`));
    });
  });
}

/** Runs commands one after the other. */
export async function runCommands(commands: readonly Command[]): Promise<void> {
  for (const command of commands) await runCommand(command);
}

/** Runs the first of several ways to the same end that works. @throws {CommandFailedError} None does; of the last one. */
export async function runFirstThatWorks(ways: readonly (readonly Command[])[]): Promise<void> {
  let last: unknown;
  for (const way of ways) {
    try {
      await runCommands(way);
      return;
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      last = error;
    }
  }
  throw last;
}
