import { describe, expect, it } from 'vitest';
import { capabilityBit, capabilityBits, capabilityNames, UnknownCapabilityError } from './capabilities.ts';
import { signalNumber, UnknownSignalError } from './signal-number.ts';

const EVERY = (1n << 41n) - 1n;

describe('capabilities', () => {
  it('starts from the usual fourteen', () => {
    expect(capabilityBits({ add: [], drop: [], privileged: false }, EVERY)).toBe(0xa80425fbn);
  });

  it.each([
    [['NET_ADMIN'], ['ALL'], ['NET_ADMIN']],
    [['CAP_NET_ADMIN', 'sys_time'], ['ALL'], ['NET_ADMIN', 'SYS_TIME']],
    [[], ['ALL'], []],
    [['ALL'], ['ALL'], capabilityNames(EVERY)],
    [['ALL'], ['NET_RAW'], capabilityNames(EVERY).filter((name) => name !== 'NET_RAW')],
  ])('adds %j and drops %j', (add, drop, names) => {
    expect(capabilityNames(capabilityBits({ add, drop, privileged: false }, EVERY))).toEqual(names);
  });

  it('gives no more than there is', () => {
    const available = EVERY & ~capabilityBit('SYS_RESOURCE');
    expect(capabilityBits({ add: ['SYS_RESOURCE'], drop: ['ALL'], privileged: false }, available)).toBe(0n);
    expect(capabilityBits({ add: [], drop: [], privileged: true }, available)).toBe(available);
  });

  it('refuses names that mean nothing', () => {
    expect(() => capabilityBits({ add: ['FLY'], drop: [], privileged: false }, EVERY)).toThrow(UnknownCapabilityError);
  });
});

describe('signals', () => {
  it.each([
    ['SIGTERM', 15],
    ['TERM', 15],
    ['sigint', 2],
    ['15', 15],
    ['SIGRTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
    ['SIGWINCH', 28],
  ])('reads %s as %i', (name, number) => {
    expect(signalNumber(name)).toBe(number);
  });

  it.each(['', 'SIGWISH', '0', '65', 'SIGRTMIN+31', 'SIGRTMAX+1', '15x'])('refuses %j', (name) => {
    expect(() => signalNumber(name)).toThrow(UnknownSignalError);
  });
});
