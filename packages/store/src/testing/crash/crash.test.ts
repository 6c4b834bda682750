import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Random, seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { expect, test } from 'vitest';
import { openEmbeddedStore } from '../../embedded-store.ts';
import { CrashLedger } from './crash-ledger.ts';

const ROUNDS = Number(process.env.DURE_ROUNDS ?? 12);
const TIMEOUT_MS = 60_000 + ROUNDS * 3000;

test(`killed at ${ROUNDS} random instants a store keeps what it acknowledged, whole, and gives no revision twice`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`crash: DURE_SEED=${seed} DURE_ROUNDS=${ROUNDS}`);
  const random = seededRandom(seed);
  const directory = await mkdtemp(join(tmpdir(), 'dure-crash-'));
  const ledger = new CrashLedger();
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      // One in five dies while it opens what the one before left.
      const said = await runUntilKilled([directory, `${random.integer(2 ** 31)}`, `${ledger.nextSerial}`], random, round % 5 === 4);
      expect(ledger.record(said), `round ${round}`).toEqual([]);
      await using store = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger, reserveBytes: 1 << 16 });
      expect(await ledger.compare(store), `round ${round}`).toEqual([]);
    }
    const { acknowledged, unanswered } = ledger;
    console.log(`crash: ${acknowledged} writes acknowledged, ${unanswered} cut short`);
    // Otherwise the kills came too early to show anything.
    expect(acknowledged).toBeGreaterThan(ROUNDS * 10);
    expect(unanswered).toBeGreaterThan(0);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

/** Starts a writer, kills it at a random instant, and returns the whole lines that it said. */
async function runUntilKilled(args: readonly string[], random: Random, whileOpening: boolean): Promise<readonly string[]> {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const program = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));
  const writer = spawn(process.execPath, ['--import', loader, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(writer, 'close');
  const said = collect(writer, 'stdout');
  const complained = collect(writer, 'stderr');
  if (whileOpening) await sleep(150 + random.integer(300));
  else {
    await Promise.race([once(writer.stdout, 'data'), exited]);
    await sleep(random.integer(350));
  }
  writer.kill('SIGKILL');
  await exited;
  expect(complained(), 'stderr of the writer').toBe('');
  return said().split('\n').slice(0, -1);
}

function collect(writer: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  let text = '';
  writer[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
