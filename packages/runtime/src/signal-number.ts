import { constants } from 'node:os';

/** The kernel's first real-time signal as C libraries count it: two or three below are theirs. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** A signal name that means nothing to Linux. */
export class UnknownSignalError extends Error {
  override readonly name = 'UnknownSignalError';
  readonly code = 'RUNTIME_UNKNOWN_SIGNAL';

  constructor(signal: string) {
    super(`unknown signal ${JSON.stringify(signal)}`);
  }
}

/** The number of `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `SIGRTMAX-1`. Images use all of these forms. @throws {UnknownSignalError} */
export function signalNumber(signal: string): number {
  if (/^\d+$/.test(signal)) {
    const number = Number(signal);
    if (number >= 1 && number <= SIGRTMAX) return number;
    throw new UnknownSignalError(signal);
  }
  const name = signal.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === '-' ? -1 : 1);
    const number = (realTime[1] === 'MIN' ? SIGRTMIN : SIGRTMAX) + offset;
    if (number >= SIGRTMIN && number <= SIGRTMAX) return number;
    throw new UnknownSignalError(signal);
  }
  const known = (constants.signals as Readonly<Record<string, number>>)[name];
  if (known === undefined) throw new UnknownSignalError(signal);
  return known;
}
