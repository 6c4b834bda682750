import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@dure/foundation';
import { openEmbeddedStore, type Revision } from '@dure/store';
import { Pool } from 'undici';
import { type Contender, compare } from './compare.ts';
import { startEtcd } from './etcd.ts';
import type { BenchResult } from './report.ts';

const VALUE = Buffer.alloc(1024, 'x');
const SEQUENTIAL = 400;
const CONCURRENT = 64;
const BURSTS = 30;
const ABSENT = 0 as Revision;

/** Durable writes of 1 KB: ours, the disk's own write + fdatasync, and etcd on the same disk. */
export async function storeBench(say: (line: string) => void): Promise<BenchResult> {
  const directory = mkdtempSync(join(tmpdir(), 'dure-bench-store-'));
  try {
    await using etcd = await startEtcd(join(directory, 'etcd'));
    const result = await compare(
      {
        title: 'Durable writes of 1 KB',
        setting: `${SEQUENTIAL} writes one after the other, then ${BURSTS} bursts of ${CONCURRENT} at once, each write on disk before it is acknowledged.`,
        rounds: 5,
        lowerIsBetter: ['ms each, one at a time'],
        contenders: [dure(directory), disk(directory), etcdContender(etcd.url)],
        aims: [
          { metric: 'ms each, one at a time', peer: 'write + fdatasync', aim: '>= 0.77 (1.3x its time)' },
          { metric: 'writes/s, 64 at once', peer: 'etcd', aim: '>= 3' },
        ],
      },
      say,
    );
    return { kind: 'comparison', result };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function dure(directory: string): Contender {
  let round = 0;
  return {
    name: 'dure',
    async measure() {
      round += 1;
      await using store = await openEmbeddedStore({ directory: join(directory, `dure-${round}`), clock: systemClock, log: silentLogger });
      // Awaited here: the store closes when this block is left.
      return await timed((key) => store.append({ kind: 'put', key, value: VALUE }, ABSENT, 'durable'));
    },
  };
}

function disk(directory: string): Contender {
  return {
    name: 'write + fdatasync',
    async measure() {
      const fd = openSync(join(directory, 'plain'), 'a');
      try {
        const startedMs = performance.now();
        for (let index = 0; index < SEQUENTIAL; index += 1) {
          writeSync(fd, VALUE);
          fdatasyncSync(fd);
        }
        return { 'ms each, one at a time': (performance.now() - startedMs) / SEQUENTIAL };
      } finally {
        closeSync(fd);
      }
    },
  };
}

function etcdContender(url: string): Contender {
  let round = 0;
  return {
    name: 'etcd',
    async measure() {
      round += 1;
      const pool = new Pool(url, { connections: CONCURRENT });
      const value = VALUE.toString('base64');
      try {
        return await timed(async (key) => {
          const body = JSON.stringify({ key: Buffer.from(`${round}${key}`).toString('base64'), value });
          const answer = await pool.request({ method: 'POST', path: '/v3/kv/put', body });
          await answer.body.dump();
          if (answer.statusCode !== 200) throw new Error(`etcd answered ${answer.statusCode}`);
        });
      } finally {
        await pool.close();
      }
    },
  };
}

async function timed(put: (key: string) => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
  const startedMs = performance.now();
  for (let index = 0; index < SEQUENTIAL; index += 1) await put(`/sequential/${index}`);
  const betweenMs = performance.now();
  for (let burst = 0; burst < BURSTS; burst += 1)
    await Promise.all(Array.from({ length: CONCURRENT }, (_, index) => put(`/burst/${burst}/${index}`)));
  return {
    'ms each, one at a time': (betweenMs - startedMs) / SEQUENTIAL,
    'writes/s, 64 at once': (BURSTS * CONCURRENT * 1000) / (performance.now() - betweenMs),
  };
}
