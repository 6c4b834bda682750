import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { createAuthority, createRequest, signRequest } from '@dure/pki';
import { describe, expect, it } from 'vitest';
import type { IssuedCertificate } from './certificate-request.ts';
import { keepCertificate } from './certificate-rotation.ts';

const DAY_MS = 24 * 3_600_000;
const clock = () => new FakeClock(Date.UTC(2026, 0, 1));

async function issuer(time: FakeClock) {
  const context = { clock: time, random: seededRandom(1) };
  const authority = await createAuthority({ commonName: 'test' }, context);
  return async (validityMs: number): Promise<IssuedCertificate> => {
    const { requestPem, privateKeyPem } = await createRequest({ commonName: 'system:node:a', organizations: ['system:nodes'] });
    const certificate = await signRequest(authority, requestPem, { validityMs, usages: ['client auth'] }, context);
    return { certificate, key: privateKeyPem };
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a certificate that is kept good', () => {
  it('is asked for at once when there is none, then again at 70 to 80 % of its life', async () => {
    const time = clock();
    const issue = await issuer(time);
    const stop = new AbortController();
    const installed: number[] = [];
    const keeping = keepCertificate(
      {
        clock: time,
        random: seededRandom(5),
        log: silentLogger,
        what: 'client',
        current: undefined,
        obtain: () => issue(100 * DAY_MS),
        install: async () => void installed.push((time.now() - Date.UTC(2026, 0, 1)) / DAY_MS),
      },
      stop.signal,
    );
    await settle();
    expect(installed).toEqual([0]);
    for (let day = 0; day < 69; day += 1) await time.advance(DAY_MS);
    await settle();
    expect(installed).toHaveLength(1);
    for (let day = 0; day < 12; day += 1) await time.advance(DAY_MS);
    await settle();
    expect(installed).toHaveLength(2);
    expect(installed[1]).toBeGreaterThanOrEqual(69);
    expect(installed[1]).toBeLessThanOrEqual(81);
    stop.abort();
    await keeping;
  });

  it('is asked for again after a refusal, ever more slowly', async () => {
    const time = clock();
    const stop = new AbortController();
    let asked = 0;
    const keeping = keepCertificate(
      {
        clock: time,
        random: seededRandom(5),
        log: silentLogger,
        what: 'client',
        current: undefined,
        obtain: async () => {
          asked += 1;
          throw new Error('no');
        },
        install: async () => undefined,
      },
      stop.signal,
    );
    await settle();
    expect(asked).toBe(1);
    await time.advance(1_000);
    expect(asked).toBe(2);
    await time.advance(1_000);
    expect(asked).toBe(2);
    await time.advance(1_000);
    expect(asked).toBe(3);
    stop.abort();
    await keeping;
  });
});
