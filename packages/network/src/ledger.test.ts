import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HostChange, openLedger } from './ledger.ts';

let path: string;
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'dure-ledger-')), 'ledger.jsonl');
});
afterEach(() => rmSync(join(path, '..'), { recursive: true }));

const links: HostChange = { kind: 'links', namePrefix: 'dr123456' };
const forwarding: HostChange = { kind: 'sysctl', name: 'net/ipv4/ip_forward', found: '0', set: '1' };
const route = (octet: number): HostChange => ({ kind: 'route', destination: `10.42.${octet}.0/24`, link: 'eth0', via: '10.0.0.2' });

describe('a ledger', () => {
  it('is there again for the next process, without what was undone', () => {
    const ledger = openLedger(path);
    for (const change of [links, forwarding, route(2)]) ledger.record(change);
    ledger.forget(links);
    expect(openLedger(path).entries()).toEqual([forwarding, route(2)]);
  });

  it('keeps the value found first', () => {
    const ledger = openLedger(path);
    ledger.record(forwarding);
    ledger.record({ ...forwarding, found: '1' } as HostChange);
    expect(ledger.entries()).toEqual([forwarding]);
  });

  it('ignores a line torn by a crash', () => {
    openLedger(path).record(links);
    appendFileSync(path, '{"change":{"kind":"rou');
    expect(openLedger(path).entries()).toEqual([links]);
  });

  it('does not grow with what comes and goes', () => {
    const ledger = openLedger(path);
    ledger.record(links);
    for (let round = 0; round < 2_000; round += 1) {
      ledger.record(route(round % 200));
      ledger.forget(route(round % 200));
    }
    expect(readFileSync(path, 'utf8').split('\n').length).toBeLessThan(600);
    expect(openLedger(path).entries()).toEqual([links]);
  });
});
