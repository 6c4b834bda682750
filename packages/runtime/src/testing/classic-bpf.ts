/** Runs classic BPF as the kernel does for seccomp, so that filters can be asked without installing them. */
export interface SeccompCall {
  readonly architecture: number;
  readonly number: number;
  readonly args?: readonly bigint[];
}

/** The filter's return value. @throws {Error} It jumps out of itself, or uses an instruction that filters do not have. */
export function runFilter(filter: Uint8Array, { architecture, number, args = [] }: SeccompCall): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture >>> 0, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + index * 8);
  const program = Buffer.from(filter);
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const whenTrue = program.readUInt8(at * 8 + 2);
    const whenFalse = program.readUInt8(at * 8 + 3);
    const value = program.readUInt32LE(at * 8 + 4);
    const jump = (holds: boolean): void => {
      at += holds ? whenTrue : whenFalse;
    };
    switch (code) {
      case 0x20:
        accumulator = data.readUInt32LE(value);
        break;
      case 0x54:
        accumulator = (accumulator & value) >>> 0;
        break;
      case 0x05:
        at += value;
        break;
      case 0x15:
        jump(accumulator === value);
        break;
      case 0x25:
        jump(accumulator > value);
        break;
      case 0x35:
        jump(accumulator >= value);
        break;
      case 0x06:
        return value;
      default:
        throw new Error(`instruction ${at}: unknown code 0x${code.toString(16)}`);
    }
  }
  throw new Error('the filter ran off its end');
}
