import { describe, expect, it } from 'vitest';
import {
  cpuMs,
  parseChildrenCpuMs,
  parseCpuMs,
  parseParent,
  parsePssBytes,
  parseWrittenBytes,
  pssBytes,
  runningCommands,
} from './process-usage.ts';

// A program may call itself anything.
const STAT = '4242 (a ) b (c) S 17 4242 4242 0 -1 4194560 2210 0 0 0 123 77 9 9 20 0 11 0 481 1 2 3';

describe('what /proc says of a process', () => {
  it('counts time in user and kernel, without that of children', () => {
    expect(parseCpuMs(STAT)).toBe(2000);
    expect(parseChildrenCpuMs(STAT)).toBe(180);
  });

  it('names the parent', () => {
    expect(parseParent(STAT)).toBe(17);
  });

  it('has memory in kibibytes', () => {
    expect(parsePssBytes('55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 9000 kB\nPss:     1500 kB\nPss_Dirty: 7 kB\n')).toBe(1_536_000);
  });

  it('takes off what was deleted before it was written', () => {
    expect(parseWrittenBytes('rchar: 1\nwchar: 9\nread_bytes: 2\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n')).toBe(4096);
  });

  it.each([
    ['stat', () => parseCpuMs('')],
    ['smaps_rollup', () => parsePssBytes('')],
    ['io', () => parseWrittenBytes('')],
  ])('throws for an empty %s rather than counting nothing', (_, parse) => {
    expect(parse).toThrow();
  });

  it('is what this kernel writes', () => {
    expect(cpuMs(process.pid)).toBeGreaterThan(0);
    expect(pssBytes(process.pid)).toBeGreaterThan(1e6);
    expect(runningCommands().find(({ pid }) => pid === process.pid)?.parent).toBe(process.ppid);
  });
});
