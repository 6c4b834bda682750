import { runCommand } from '@dure/test-support';
import { debianProgram } from './debian-program.ts';

export interface WrkResult {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly errors: number;
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };
const SECONDS: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 };

/** What wrk prints when it is done. @throws {Error} It printed something else. */
export function parseWrk(output: string): WrkResult {
  const [, requests, time, timeUnit, size, sizeUnit] = /(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)([KMGT]?B) read/.exec(output) ?? [];
  if (requests === undefined) throw new Error(`not a report of wrk:\n${output}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0);
  return {
    requests: Number(requests),
    seconds: Number(time) * (SECONDS[timeUnit ?? ''] ?? Number.NaN),
    bytes: Number(size) * (UNITS[sizeUnit ?? ''] ?? Number.NaN),
    errors: errors.reduce((sum, count) => sum + Number(count), refused),
  };
}

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Processors it may use, as for taskset. */
  readonly processors: string;
  /** `close`: a new connection for each request. */
  readonly connection: 'kept' | 'close';
}

/** Loads a URL from one thread. @throws {Error} Any request failed. */
export async function runWrk({ url, connections, seconds, processors, connection }: WrkOptions): Promise<WrkResult> {
  const program = await debianProgram('wrk', 'wrk');
  const { stdout } = await runCommand('taskset', [
    ...['-c', processors, ...program, '-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '5s'],
    ...(connection === 'close' ? ['-H', 'Connection: close'] : []),
    url,
  ]);
  const result = parseWrk(stdout);
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests to ${url} failed:\n${stdout}`);
  return result;
}
