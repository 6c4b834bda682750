import { runCommand } from '@dure/test-support';
import { debianProgram } from './debian-program.ts';

export interface DnsperfResult {
  readonly completed: number;
  readonly lost: number;
  readonly queriesPerSecond: number;
  /** Answers by response code. */
  readonly codes: Readonly<Record<string, number>>;
}

/** What dnsperf prints when it is done. @throws {Error} It printed something else. */
export function parseDnsperf(output: string): DnsperfResult {
  const count = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(output)?.[1] ?? Number.NaN);
  const codes = /Response codes:\s+(.*)/.exec(output)?.[1] ?? '';
  const result = {
    completed: count('Queries completed'),
    lost: count('Queries lost'),
    queriesPerSecond: count('Queries per second'),
    codes: Object.fromEntries([...codes.matchAll(/([A-Z]+) (\d+)/g)].map(([, code = '', answers]) => [code, Number(answers)])),
  };
  if (Number.isNaN(result.completed + result.lost + result.queriesPerSecond)) throw new Error(`not a report of dnsperf:\n${output}`);
  return result;
}

export interface DnsperfOptions {
  readonly port: number;
  /** Lines of `NAME TYPE`. */
  readonly questionsFile: string;
  readonly seconds: number;
  readonly outstanding: number;
  readonly processors: string;
}

/** Asks a server on loopback. @throws {Error} Answers were lost, or others than NOERROR came. */
export async function runDnsperf({ port, questionsFile, seconds, outstanding, processors }: DnsperfOptions): Promise<DnsperfResult> {
  const program = await debianProgram('dnsperf', 'dnsperf');
  const { stdout } = await runCommand('taskset', [
    ...['-c', processors, ...program, '-s', '127.0.0.1', '-p', String(port), '-d', questionsFile, '-l', String(seconds)],
    ...['-q', String(outstanding), '-c', '8', '-T', '1'],
  ]);
  const result = parseDnsperf(stdout);
  const wrong = Object.entries(result.codes).filter(([code]) => code !== 'NOERROR');
  if (wrong.length > 0 || result.lost > result.completed / 1000) throw new Error(`dnsperf saw other answers than good ones:\n${stdout}`);
  return result;
}
