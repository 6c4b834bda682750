import { spawn } from 'node-pty';

/** Types into a program that runs in a real terminal, and gives all that it showed. */
export async function inTerminal(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  dialogue: readonly { readonly waitFor: RegExp; readonly type: string }[],
  timeoutMs = 60_000,
): Promise<{ readonly shown: string; readonly code: number }> {
  const terminal = spawn(program, [...args], { name: 'xterm', cols: 100, rows: 30, env: env as Record<string, string> });
  let shown = '';
  let seen = 0;
  const steps = [...dialogue];
  const advance = (): void => {
    const [next] = steps;
    if (next === undefined) return;
    const match = next.waitFor.exec(shown.slice(seen));
    if (match === null) return;
    seen += match.index + match[0].length;
    steps.shift();
    terminal.write(next.type);
    advance();
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      terminal.kill('SIGKILL');
      reject(new Error(`${program} ${args.join(' ')}: waited for ${String(steps[0]?.waitFor ?? 'its end')}; it showed:\n${shown}`));
    }, timeoutMs);
    terminal.onData((data) => {
      shown += data;
      advance();
    });
    terminal.onExit(({ exitCode }) => {
      clearTimeout(timer);
      resolve({ shown, code: exitCode });
    });
  });
}
