import { leases } from '@dure/api';
import { aborted, seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { runLeaderElection } from './leader-election.ts';
import { FakeClient } from './testing/fake-client.ts';

const lease = { namespace: 'kube-system', name: 'main' };

function setUp() {
  const clock = new FakeClock();
  const fake = new FakeClient({ clock });
  const leading = new Set<string>();
  let together = 0;
  const candidate = (identity: string, client = fake) => {
    const stop = new AbortController();
    const ended = runLeaderElection(
      { client, lease, identity, clock, random: seededRandom(identity.length), log: silentLogger },
      async (signal) => {
        leading.add(identity);
        together = Math.max(together, leading.size);
        await aborted(signal);
        leading.delete(identity);
      },
      stop.signal,
    );
    return { stop: () => stop.abort(), ended };
  };
  return { clock, fake, leading, candidate, together: () => together };
}

describe('leader election', () => {
  it('has one leader, and the next one takes over at once when it leaves', async () => {
    const { clock, fake, leading, candidate, together } = setUp();
    const a = candidate('a');
    await clock.advance(100);
    const b = candidate('bb');
    await clock.advance(60_000);
    expect([...leading]).toEqual(['a']);
    a.stop();
    await a.ended;
    await clock.advance(3_000);
    expect([...leading]).toEqual(['bb']);
    expect(together()).toBe(1);
    expect(fake.peek(leases, 'kube-system/main')?.spec).toMatchObject({
      holderIdentity: 'bb',
      leaseTransitions: 1,
      leaseDurationSeconds: 15,
    });
    b.stop();
    await b.ended;
    expect(fake.peek(leases, 'kube-system/main')?.spec?.holderIdentity).toBe('');
  });

  it('stops leading before anybody else may start, when the server is out of reach', async () => {
    const { clock, fake, leading, candidate, together } = setUp();
    const cut = Object.create(fake) as FakeClient;
    let unreachable = false;
    for (const verb of ['get', 'update', 'create'] as const) {
      const through = fake[verb].bind(fake) as (...args: unknown[]) => Promise<unknown>;
      // A request that never ends, the worst kind of failure.
      Object.assign(cut, {
        [verb]: (...args: unknown[]) => {
          const signal = args.at(-1) as AbortSignal;
          return unreachable ? aborted(signal).then(() => Promise.reject(signal.reason)) : through(...args);
        },
      });
    }
    const a = candidate('a', cut);
    await clock.advance(5_000);
    const b = candidate('bb');
    await clock.advance(5_000);
    unreachable = true;
    await clock.advance(10_100);
    expect([...leading]).toEqual([]);
    await clock.advance(10_000);
    expect([...leading]).toEqual(['bb']);
    expect(together()).toBe(1);
    a.stop();
    b.stop();
    await clock.advance(5_000);
    await Promise.all([a.ended, b.ended]);
  });

  it('ends the election when what it leads fails', async () => {
    const clock = new FakeClock();
    const client = new FakeClient({ clock });
    const failing = runLeaderElection(
      { client, lease, identity: 'a', clock, random: seededRandom(1), log: silentLogger },
      () => Promise.reject(new Error('broken')),
      new AbortController().signal,
    );
    await expect(failing).rejects.toThrow('broken');
  });

  it.each([
    { leaseDurationMs: 10_000, renewDeadlineMs: 10_000 },
    { renewDeadlineMs: 2_000, retryPeriodMs: 2_000 },
  ])('refuses times that do not fit: %o', async (times) => {
    const clock = new FakeClock();
    const options = {
      client: new FakeClient({ clock }),
      lease,
      identity: 'a',
      clock,
      random: seededRandom(1),
      log: silentLogger,
      ...times,
    };
    await expect(runLeaderElection(options, async () => undefined, new AbortController().signal)).rejects.toThrow(RangeError);
  });
});
