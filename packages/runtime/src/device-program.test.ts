import { describe, expect, it } from 'vitest';
import { compileDeviceProgram, DEFAULT_DEVICE_RULES, type DeviceRule } from './device-program.ts';

/** Runs the program as the kernel would: r1 is the context, r0 the answer. */
function allows(program: Uint8Array, type: 'b' | 'c', access: string, major: number, minor: number): boolean {
  const letters: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
  const bits = [...access].reduce((sum, letter) => sum | (letters[letter] ?? 0), 0);
  const context = [(bits << 16) | (type === 'b' ? 1 : 2), major, minor];
  const registers = new Array<number>(11).fill(0);
  const bytes = Buffer.from(program);
  for (let at = 0; at * 8 < bytes.length; at += 1) {
    const code = bytes.readUInt8(at * 8);
    const destination = bytes.readUInt8(at * 8 + 1) & 15;
    const source = bytes.readUInt8(at * 8 + 1) >> 4;
    const offset = bytes.readInt16LE(at * 8 + 2);
    const value = bytes.readInt32LE(at * 8 + 4);
    const current = registers[destination] ?? 0;
    if (code === 0x61) registers[destination] = context[offset / 4] ?? 0;
    else if (code === 0x54) registers[destination] = (current & value) >>> 0;
    else if (code === 0x74) registers[destination] = current >>> value;
    else if (code === 0xbc) registers[destination] = registers[source] ?? 0;
    else if (code === 0xb7) registers[destination] = value;
    else if (code === 0x55) at += current !== value ? offset : 0;
    else if (code === 0x5d) at += current !== registers[source] ? offset : 0;
    else if (code === 0x95) return registers[0] === 1;
    else throw new Error(`unknown code ${code}`);
  }
  throw new Error('the program ran off its end');
}

describe('the device program', () => {
  it('lets a container use the pseudo devices and make, but not open, others', () => {
    const program = compileDeviceProgram(DEFAULT_DEVICE_RULES);
    for (const minor of [3, 5, 7, 8, 9]) expect(allows(program, 'c', 'rw', 1, minor)).toBe(true);
    expect(allows(program, 'c', 'rw', 136, 77)).toBe(true);
    expect(allows(program, 'c', 'r', 1, 1)).toBe(false);
    expect(allows(program, 'b', 'm', 254, 0)).toBe(true);
    expect(allows(program, 'b', 'r', 254, 0)).toBe(false);
    expect(allows(program, 'b', 'rm', 254, 0)).toBe(false);
    expect(allows(program, 'c', 'w', 10, 200)).toBe(false);
  });

  it('gives what is asked and no more', () => {
    const program = compileDeviceProgram([{ type: 'b', major: 8, minor: 1, access: 'r' }]);
    expect(allows(program, 'b', 'r', 8, 1)).toBe(true);
    expect(allows(program, 'b', 'rw', 8, 1)).toBe(false);
    expect(allows(program, 'b', 'r', 8, 2)).toBe(false);
    expect(allows(program, 'c', 'r', 8, 1)).toBe(false);
  });

  it('has no step that is never reached after a rule for everything', () => {
    const everything: DeviceRule = { type: 'a', access: 'rwm' };
    const program = compileDeviceProgram([everything, ...DEFAULT_DEVICE_RULES]);
    expect(program).toEqual(compileDeviceProgram([everything]));
    expect(allows(program, 'b', 'rwm', 8, 0)).toBe(true);
  });

  it('allows nothing without rules', () => {
    expect(allows(compileDeviceProgram([]), 'c', 'r', 1, 3)).toBe(false);
  });
});
