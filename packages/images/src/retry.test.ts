import { type Logger, seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, test } from 'vitest';
import { type FaultKind, parseRetryAfter, RegistryFault } from './registry-fault.ts';
import { type RetryDeps, retrying } from './retry.ts';

function deps(clock: FakeClock, log: Logger = silentLogger): RetryDeps {
  return { clock, log, random: seededRandom(1), policy: { triesMax: 4, backoff: { baseMs: 100, maxMs: 1000 }, retryAfterMaxMs: 60_000 } };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('retrying', () => {
  test('tries again after temporary faults, ever more patiently, and no more often than allowed', async () => {
    const clock = new FakeClock();
    const at: number[] = [];
    const result = retrying(
      () => {
        at.push(clock.monotonicMs());
        return Promise.reject(new RegistryFault('broken', 'down'));
      },
      deps(clock),
      new AbortController().signal,
    );
    const failed = expect(result).rejects.toThrow('down');
    await clock.advance(10_000);
    await failed;
    expect(at).toHaveLength(4);
    const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(50 * 2 ** index);
      expect(wait).toBeLessThanOrEqual(150 * 2 ** index);
    }
  });

  test.each<FaultKind>(['missing', 'refused', 'unauthorized'])('does not repeat what was %s', async (kind) => {
    let tries = 0;
    const attempt = (): Promise<never> => {
      tries += 1;
      return Promise.reject(new RegistryFault(kind, 'no'));
    };
    await expect(retrying(attempt, deps(new FakeClock()), new AbortController().signal)).rejects.toThrow('no');
    expect(tries).toBe(1);
  });

  test('waits as long as it is asked to, within bounds', async () => {
    for (const [askedMs, untilMs] of [
      [5_000, 5_000],
      [3_600_000, 60_000],
    ] as const) {
      const clock = new FakeClock();
      let tries = 0;
      const result = retrying(
        async () => {
          tries += 1;
          if (tries === 1) throw new RegistryFault('busy', 'later', { retryAfterMs: askedMs });
          return tries;
        },
        deps(clock),
        new AbortController().signal,
      );
      await clock.advance(untilMs - 1);
      expect(tries).toBe(1);
      await clock.advance(1);
      expect(await result).toBe(2);
    }
  });

  test('progress makes the count begin anew', async () => {
    const clock = new FakeClock();
    let tries = 0;
    const result = retrying(
      async (progressed) => {
        tries += 1;
        if (tries === 10) return 'there';
        progressed();
        throw new RegistryFault('broken', 'cut');
      },
      deps(clock),
      new AbortController().signal,
    );
    await clock.advance(60_000);
    expect(await result).toBe('there');
  });

  test('stops waiting when it is no longer wanted', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const result = retrying(() => Promise.reject(new RegistryFault('broken', 'down')), deps(clock), stop.signal);
    const failed = expect(result).rejects.toThrow('enough');
    await settle();
    stop.abort(new Error('enough'));
    await failed;
    expect(clock.sleeping).toBe(0);
  });
});

describe('parseRetryAfter', () => {
  test('takes seconds and dates, and nothing else', () => {
    const now = Date.UTC(2026, 0, 1);
    expect(parseRetryAfter('120', now)).toBe(120_000);
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30_000);
    expect(parseRetryAfter('Thu, 01 Jan 2015 00:00:30 GMT', now)).toBe(0);
    for (const header of [undefined, '', 'soon', '-5', '99999999999999']) expect(parseRetryAfter(header, now)).toBeUndefined();
  });
});
