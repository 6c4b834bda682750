import { quantile } from './pod-start-bench.ts';

/** What all sides of the comparison are asked for. */
export const LOAD = {
  /** Requests one after the other, for the times. */
  singles: 200,
  /** Requests of each sort with `atOnce` under way, for the rates. */
  burst: 1000,
  atOnce: 32,
  /** What lists return, and the watched write is one of. */
  stored: 10_000,
  page: 500,
  lists: 5,
  watchers: 1000,
  /** Writes that are watched, one after the other. */
  events: 10,
};

/** Milliseconds of each of `count` requests, one after the other. */
export async function timesOf(count: number, send: (index: number) => Promise<unknown>): Promise<readonly number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedMs = performance.now();
    await send(index);
    times.push(performance.now() - startedMs);
  }
  return times;
}

/** Milliseconds that `count` requests took with `atOnce` of them under way. */
export async function burst(count: number, atOnce: number, send: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const startedMs = performance.now();
  const work = async (): Promise<void> => {
    while (next < count) await send(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return performance.now() - startedMs;
}

/** Times and rate of one sort of request, under the names that every side uses. */
export async function measureRequests(sort: string, send: (index: number) => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
  const times = await timesOf(LOAD.singles, send);
  const tookMs = await burst(LOAD.burst, LOAD.atOnce, (index) => send(LOAD.singles + index));
  return {
    [`${sort}, ms, p50`]: quantile(times, 0.5),
    [`${sort}, ms, p99`]: quantile(times, 0.99),
    [`${sort}, per second`]: (LOAD.burst * 1000) / tookMs,
  };
}
