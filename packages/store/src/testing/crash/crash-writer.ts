/**
 * Writes to a store until it is killed, and says so line by line: `try` before a write, `ack` after it. Lines go out synchronously, so that
 * what was said has been said when the kill comes. Arguments: directory, seed, first serial.
 */
import { writeSync } from 'node:fs';
import { errnoCode, seededRandom, silentLogger, systemClock } from '@dure/foundation';
import type { Change, Revision } from '../../contract.ts';
import { openEmbeddedStore } from '../../embedded-store.ts';
import { CompactedError } from '../../errors.ts';
import { crashValue } from './crash-value.ts';

const WRITERS = 8;
const KEYS_EACH = 3;

const [directory = '', seed = '0', firstSerial = '1'] = process.argv.slice(2);
const random = seededRandom(Number(seed));
let serial = Number(firstSerial);

const store = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger, reserveBytes: 1 << 16 });
say('ready', await store.revision());
await Promise.all([...Array.from({ length: WRITERS }, (_, writer) => write(writer)), tidy()]);

/** Each writer has keys of its own, so that it knows what stands there. */
async function write(writer: number): Promise<never> {
  for (;;) {
    const key = `/crash/${writer}-${random.integer(KEYS_EACH)}`;
    const standing = await store.get(key);
    const mine = serial;
    serial += 1;
    const durability = random.integer(3) === 0 ? 'volatile' : 'durable';
    const change: Change =
      standing !== undefined && random.integer(6) === 0 ? { kind: 'delete', key } : { kind: 'put', key, value: crashValue(mine) };
    say('try', mine, change.kind, durability, key);
    const revision = await store.append(change, standing?.modifiedAt ?? (0 as Revision), durability);
    say('ack', mine, revision);
  }
}

/** Compacts and flushes now and then, as the API server does. */
async function tidy(): Promise<never> {
  for (;;) {
    await systemClock.sleep(5 + random.integer(40));
    if (random.integer(2) === 0) {
      say('flushing');
      await store.flush();
      say('flushed');
      continue;
    }
    const newest = await store.revision();
    say('compacting', newest);
    await store.compact(newest).catch((error: unknown) => {
      if (!(error instanceof CompactedError)) throw error;
    });
    say('compacted', newest);
  }
}

function say(...words: readonly (string | number)[]): void {
  let line = Buffer.from(`${words.join(' ')}\n`);
  while (line.length > 0) {
    try {
      line = line.subarray(writeSync(1, line));
    } catch (error) {
      // The reader is behind and the pipe does not block.
      if (errnoCode(error) !== 'EAGAIN') throw error;
    }
  }
}
