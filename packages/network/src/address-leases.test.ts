import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@dure/foundation';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AddressesExhaustedError, type AddressLeases, openAddressLeases, servicesAddress } from './address-leases.ts';
import { parseCidr } from './ip-address.ts';

const seed = Number(process.env.DURE_SEED ?? Date.now() % 1_000_000);
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dure-leases-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(cidr = '10.42.1.0/29'): AddressLeases {
  return openAddressLeases(join(directory, 'leases.json'), parseCidr(cidr));
}

describe('address leases', () => {
  it('begin after the address of the services namespace and end before the last of the range', () => {
    const leases = open();
    expect(servicesAddress(parseCidr('10.42.1.0/29'))).toBe('10.42.1.1');
    const offsets = ['a', 'b', 'c', 'd', 'e'].map((id) => leases.acquire(id, []).offset);
    expect(offsets).toEqual([2, 3, 4, 5, 6]);
    expect(() => leases.acquire('f', [])).toThrow(AddressesExhaustedError);
  });

  it('give a sandbox the same again, with the ports it had first', () => {
    const leases = open();
    const ports = [{ protocol: 'TCP' as const, hostPort: 80, containerPort: 8080 }];
    expect(leases.acquire('a', ports)).toEqual({ offset: 2, ports });
    expect(leases.acquire('a', [])).toEqual({ offset: 2, ports });
  });

  it('reuse the address that was given back longest ago, and only when none is fresh', () => {
    const leases = open();
    for (const id of ['a', 'b', 'c']) leases.acquire(id, []);
    leases.release('b');
    leases.release('a');
    expect(['d', 'e', 'f', 'g'].map((id) => leases.acquire(id, []).offset)).toEqual([5, 6, 3, 2]);
  });

  it('survive the process', () => {
    const before = open();
    before.acquire('a', []);
    before.acquire('b', []);
    before.release('a');
    const after = open();
    expect(after.get('a')).toBeUndefined();
    expect(after.get('b')).toEqual({ offset: 3, ports: [] });
    expect(after.acquire('c', []).offset).toBe(4);
  });

  it('of another range are not taken over', () => {
    open().acquire('a', []);
    expect(open('10.42.9.0/29').get('a')).toBeUndefined();
  });

  it(`never give one address to two, whatever happens (DURE_SEED=${seed})`, () => {
    const random = seededRandom(seed);
    let leases = open();
    for (let round = 0; round < 500; round += 1) {
      const id = `s${random.integer(8)}`;
      const dice = random.integer(20);
      if (dice === 0) leases = open();
      else if (dice < 10) leases.release(id);
      else {
        try {
          leases.acquire(id, []);
        } catch (error) {
          if (!(error instanceof AddressesExhaustedError)) throw error;
          expect(leases.entries()).toHaveLength(5);
        }
      }
      const offsets = leases.entries().map(([, { offset }]) => offset);
      expect(new Set(offsets).size).toBe(offsets.length);
      expect(offsets.every((offset) => offset >= 2 && offset <= 6)).toBe(true);
    }
  });
});
