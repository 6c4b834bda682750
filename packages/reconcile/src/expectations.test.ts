import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { Expectations } from './expectations.ts';

describe('expectations', () => {
  it('are settled when each create was seen or failed, in any order', () => {
    const expectations = new Expectations(new FakeClock());
    expect(expectations.settled('a')).toBe(true);
    expectations.expectCreations('a', 3);
    expectations.creationDone('a');
    expectations.creationDone('a');
    expect(expectations.settled('a')).toBe(false);
    expectations.creationDone('a');
    expect(expectations.settled('a')).toBe(true);
  });

  it('wait for deletions by uid, so that a repeated event counts once', () => {
    const expectations = new Expectations(new FakeClock());
    expectations.expectDeletion('a', 'u1');
    expectations.expectDeletion('a', 'u2');
    expectations.deletionDone('a', 'u1');
    expectations.deletionDone('a', 'u1');
    expect(expectations.settled('a')).toBe(false);
    expectations.deletionDone('a', 'u2');
    expect(expectations.settled('a')).toBe(true);
  });

  it('are given up after five minutes', async () => {
    const clock = new FakeClock();
    const expectations = new Expectations(clock);
    expectations.expectCreations('a', 1);
    await clock.advance(299_000);
    expect(expectations.settled('a')).toBe(false);
    await clock.advance(1_000);
    expect(expectations.settled('a')).toBe(true);
  });
});
