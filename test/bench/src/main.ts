/** `pnpm bench [NAME...]`: measures, prints, and writes what it printed into test/bench/README.md. Never fails for being slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isIsolated, runIsolated } from '@dure/test-support';
import { benches } from './benches.ts';
import { loadBefore, recordResult, renderResult } from './report.ts';
import { trialSettings } from './trial-settings.ts';

const ROOT_ONLY = 'needs root: it makes namespaces, mounts and cgroups';
/** Between benches, so that what one leaves to the kernel to clean up does not count against the next. */
const PAUSE_MS = 3_000;

if (isIsolated()) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`bench: unknown: ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  process.exit(1);
}
const chosen = Object.entries(benches).filter(([name]) => wanted.length === 0 || wanted.includes(name));
for (const [index, [name, bench]] of chosen.entries()) {
  if (!isIsolated() && bench.isolated) {
    if (process.getuid?.() !== 0) {
      console.log(`skipped: ${name}: ${ROOT_ONLY}`);
      continue;
    }
    await bench.prepare?.();
    if (index > 0) await sleep(PAUSE_MS);
    if ((await runInside(name)) !== 0) process.exitCode = 1;
    continue;
  }
  if (!bench.isolated) await bench.prepare?.();
  const load = loadBefore();
  const text = renderResult(await bench.run((line) => console.log(line)));
  console.log(`\n${text}\n`);
  const trial = trialSettings();
  if (trial.length > 0) console.log(`not recorded: a trial with ${trial.join(' ')}`);
  else recordResult(name, text, { today: new Date().toISOString().slice(0, 10), load });
}

/** This program again for one bench. Peers that know version 2 of cgroups alone see nothing else. */
function runInside(name: string): Promise<number> {
  const [, main = ''] = process.argv;
  // Where clusters keep what runs is /run.
  const setUp = ['ip link set lo up', 'mount -t tmpfs -o mode=755 tmpfs /run'];
  return runIsolated([process.execPath, ...process.execArgv, main, name], { cgroups: 'version 2 alone', setUp });
}
