import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { expect, test } from 'vitest';
import type { Durability, Revision } from '../contract.ts';
import { openEmbeddedStore } from '../embedded-store.ts';
import { CompactedError } from '../errors.ts';
import { collectEvents } from '../testing/store-reading.ts';
import { readCrashValue } from './crash-value.ts';

const ROUNDS = Number(process.env.DURE_ROUNDS ?? 20);

interface Attempt {
  readonly serial: number;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  durability: Durability;
  /** Missing: it was never acknowledged. */
  revision?: Revision;
}

test(`a store killed at ${ROUNDS} random instants keeps what it acknowledged, whole, and never gives a revision twice`, {
  timeout: 60_000 + ROUNDS * 3000,
}, async () => {
  const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`crash: DURE_SEED=${seed} DURE_ROUNDS=${ROUNDS}`);
  const random = seededRandom(seed);
  const directory = await mkdtemp(join(tmpdir(), 'dure-crash-'));
  const given = new Map<Revision, number>();
  /** All attempts since the last time that a key was looked at; the first is what stood there then. */
  const attempts = new Map<string, Attempt[]>();
  let serial = 1;
  let newest = 0;
  let compactedAt = 0;
  const counts = { acknowledged: 0, open: 0, whileOpening: 0 };
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const where = `round ${round} of DURE_SEED=${seed}`;
      const writer = spawnWriter(directory, random.integer(2 ** 31), serial);
      const lines = readLines(writer);
      // One in five dies while it opens what the one before left.
      if (round % 5 === 4) await sleep(150 + random.integer(300));
      else await Promise.race([lines.ready, once(writer, 'exit')]).then(() => sleep(random.integer(350)));
      writer.kill('SIGKILL');
      const said = await lines.all;
      expect(lines.errors(), where).toBe('');

      const inRound = new Map<number, Attempt>();
      let flushing: readonly Attempt[] = [];
      for (const [word, first, second, third, fourth] of said.map((line) => line.split(' '))) {
        if (word === 'ready') expect(Number(first), where).toBeGreaterThanOrEqual(newest);
        if (word === 'try') {
          const attempt: Attempt = { serial: Number(first), kind: second as 'put', durability: third as Durability, key: fourth ?? '' };
          inRound.set(attempt.serial, attempt);
          attempts.set(attempt.key, [...(attempts.get(attempt.key) ?? []), attempt]);
          serial = Math.max(serial, attempt.serial + 1);
        }
        if (word === 'ack') {
          const revision = Number(second) as Revision;
          expect(given.has(revision), `${where}: revision ${revision} given twice`).toBe(false);
          expect(revision, where).toBeGreaterThan(newest);
          given.set(revision, Number(first));
          (inRound.get(Number(first)) as Attempt).revision = revision;
        }
        if (word === 'flushing') flushing = [...inRound.values()].filter(({ revision }) => revision !== undefined);
        if (word === 'flushed') for (const attempt of flushing) attempt.durability = 'durable';
        if (word === 'compacted') compactedAt = Number(first);
      }
      const acknowledged = [...inRound.values()].filter(({ revision }) => revision !== undefined);
      counts.acknowledged += acknowledged.length;
      counts.open += inRound.size - acknowledged.length;
      counts.whileOpening += said.length === 0 ? 1 : 0;
      newest = Math.max(newest, ...acknowledged.map(({ revision }) => revision ?? 0));

      await using store = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger, reserveBytes: 1 << 16 });
      expect(await store.revision(), where).toBeGreaterThanOrEqual(newest);
      for (const [key, tried] of attempts) {
        const entry = await store.get(key);
        // The last write that must have survived, and all that may have come after it.
        const kept = tried.findLastIndex(({ revision, durability }) => revision !== undefined && durability === 'durable');
        const possible = tried.slice(Math.max(kept, 0));
        const standing =
          entry === undefined
            ? possible.find(({ kind }) => kind === 'delete')
            : possible.find((attempt) => attempt.serial === readCrashValue(entry.value));
        if (kept >= 0 || entry !== undefined)
          expect(standing, `${where}: ${key} is ${entry ? readCrashValue(entry.value) : 'absent'}`).toBeDefined();
        if (entry !== undefined && standing?.revision !== undefined) expect(entry.modifiedAt, `${where}: ${key}`).toBe(standing.revision);
        attempts.set(
          key,
          standing === undefined || entry === undefined ? [] : [{ ...standing, durability: 'durable', revision: entry.modifiedAt }],
        );
      }
      // History too: every durable write is there as it was, unless it says that it is not.
      for (const { key, kind, durability, revision, serial } of acknowledged) {
        if (durability !== 'durable' || revision === undefined) continue;
        const entry = await store.get(key, revision).catch((error: unknown) => {
          if (error instanceof CompactedError) return 'compacted' as const;
          throw error;
        });
        if (entry === 'compacted') continue;
        expect(entry && readCrashValue(entry.value), `${where}: ${key} at ${revision}`).toBe(kind === 'put' ? serial : undefined);
      }
      const events = await collectEvents(store, '', compactedAt as Revision).catch((error: unknown) => {
        if (error instanceof CompactedError) return [];
        throw error;
      });
      for (const event of events) {
        if (event.previous) readCrashValue(event.previous.value);
        if (event.kind === 'put') readCrashValue(event.entry.value);
      }
      expect(events.map(({ revision }) => revision)).toEqual(events.map(({ revision }) => revision).toSorted((a, b) => a - b));
      const page = await store.list('/crash/');
      for (const entry of page.entries) readCrashValue(entry.value);
    }
    console.log('crash:', JSON.stringify(counts));
    // Otherwise the kills came too early to show anything.
    expect(counts.acknowledged).toBeGreaterThan(ROUNDS * 10);
    expect(counts.open).toBeGreaterThan(0);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

function spawnWriter(directory: string, seed: number, serial: number): ChildProcess {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const program = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));
  return spawn(process.execPath, ['--import', loader, program, directory, `${seed}`, `${serial}`], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function readLines(writer: ChildProcess): {
  readonly ready: Promise<void>;
  readonly all: Promise<readonly string[]>;
  readonly errors: () => string;
} {
  let errors = '';
  writer.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
  });
  let onReady = (): void => {};
  const ready = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  const all = (async () => {
    const lines: string[] = [];
    for await (const line of createInterface({ input: writer.stdout as NodeJS.ReadableStream })) {
      lines.push(line);
      onReady();
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
    return lines;
  })();
  return { ready, all, errors: () => errors };
}
