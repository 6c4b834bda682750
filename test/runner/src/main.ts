/**
 * `npm test`: runs every stage that this machine can run and closes with one line of counts.
 * `npm test -- NAME...` runs the named stages only.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planStages, type Stage } from './stages.ts';
import { nothing, renderTally, sum, type Tally } from './tally.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'dure-test-'));

async function runStage(stage: Stage): Promise<Tally> {
  console.log(`\n=== ${stage.name}: ${stage.argv.join(' ')}`);
  if (stage.unavailable !== undefined) {
    console.log(`skipped: ${stage.name}: ${stage.unavailable}`);
    return { ...nothing, skipped: 1 };
  }
  const tallyPath = join(scratch, `${stage.name.replaceAll(' ', '-')}.json`);
  const [program = '', ...rest] = stage.argv;
  const child = spawn(join(root, 'node_modules/.bin', program), rest, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}`, DURE_TALLY: tallyPath },
  });
  const code = await new Promise<number>((resolve) =>
    child.on('close', (status, signal) => resolve(status ?? (signal === null ? 1 : 128))),
  );
  if (stage.kind === 'check') return code === 0 ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
  const tally = readTally(tallyPath);
  // A run that died, or failed for a reason that no test shows, must not look green.
  return code !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

function readTally(path: string): Tally {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Tally;
  } catch {
    return nothing;
  }
}

const wanted = process.argv.slice(2);
const stages = planStages({ root: process.getuid?.() === 0 }).filter(({ name }) => wanted.length === 0 || wanted.includes(name));
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
