/**
 * `npm test`: runs every stage that this machine can run and closes with one line of counts.
 * `npm test -- NAME...` runs the named stages only.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isolationUnavailable, runIsolated } from '@dure/test-support';
import { planStages, type Stage } from './stages.ts';
import { nothing, renderTally, sum, type Tally } from './tally.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const binaries = join(root, 'node_modules/.bin');
const scratch = mkdtempSync(join(tmpdir(), 'dure-test-'));

async function runStage(stage: Stage): Promise<Tally> {
  console.log(`\n=== ${stage.name}: ${stage.argv.join(' ')}`);
  if (stage.unavailable !== undefined) {
    console.log(`skipped: ${stage.name}: ${stage.unavailable}`);
    return { ...nothing, skipped: 1 };
  }
  if (stage.prepare !== undefined && (await run(local(stage.prepare), process.env)) !== 0) return { ...nothing, failed: 1 };
  const tallyPath = join(scratch, `${stage.name.replaceAll(' ', '-')}.json`);
  const env = { ...process.env, DURE_TALLY: tallyPath };
  const code = stage.isolated
    ? await runIsolated(local(stage.argv), { cwd: root, env: withBinaries(env), cgroups: 'layout of the machine' })
    : await run(local(stage.argv), env);
  if (stage.kind === 'check') return code === 0 ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
  const tally = readTally(tallyPath);
  // A run that died, or failed for a reason that no test shows, must not look green.
  return code !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

/** The program that the checkout installed, not one of the same name on PATH. */
function local([name = '', ...args]: readonly string[]): readonly string[] {
  return [join(binaries, name), ...args];
}

function run([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: withBinaries(env),
  });
  return new Promise((resolve) => child.on('close', (status, signal) => resolve(status ?? (signal === null ? 1 : 128))));
}

function withBinaries(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, PATH: `${binaries}${delimiter}${env.PATH}` };
}

function readTally(path: string): Tally {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Tally;
  } catch {
    return nothing;
  }
}

const wanted = process.argv.slice(2);
const stages = planStages({ root: process.getuid?.() === 0, isolationUnavailable: isolationUnavailable() }).filter(
  ({ name }) => wanted.length === 0 || wanted.includes(name),
);
const tallies: Tally[] = [];
for (const stage of stages) {
  const tally = await runStage(stage);
  console.log(`--- ${stage.name}: ${renderTally(tally)}`);
  tallies.push(tally);
}
rmSync(scratch, { recursive: true });
const total = sum(tallies);
if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
console.log(`\n${renderTally(total)}`);
