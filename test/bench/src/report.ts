import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, getPriority, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type ComparisonResult, type MetricResult, readable, type Spread } from './compare.ts';

const README = fileURLToPath(new URL('../README.md', import.meta.url));

/** Numbers that stand alone, beside an aim: sizes, and times without a peer. */
export interface Readings {
  readonly title: string;
  readonly setting: string;
  readonly rows: readonly { readonly what: string; readonly measured: string; readonly aim?: string }[];
  /** Lines that stand below the table. */
  readonly notes?: readonly string[];
}

export type BenchResult =
  | { readonly kind: 'comparison'; readonly result: ComparisonResult }
  | { readonly kind: 'readings'; readonly result: Readings };

export function renderResult(bench: BenchResult): string {
  return bench.kind === 'comparison' ? renderComparison(bench.result) : renderReadings(bench.result);
}

export interface RunFacts {
  /** ISO date. */
  readonly today: string;
  /** What {@link loadBefore} gave. */
  readonly load: number;
}

/** How many processes wanted a processor in the last minute. Above about 0.7, somebody else's work is in the numbers. */
export function loadBefore(): number {
  return loadavg()[0] ?? Number.NaN;
}

/** Puts a result in its place in the README, between the markers that carry the bench's name; what a run printed, nothing else. */
export function recordResult(name: string, text: string, { today, load }: RunFacts): void {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const readme = readFileSync(README, 'utf8');
  const section = `${begin}\n${text}\n\nMeasured ${today} on ${machine()}; load before the run ${load.toFixed(2)}${precedence()}.\n${end}`;
  const start = readme.indexOf(begin);
  const updated =
    start === -1
      ? `${readme.trimEnd()}\n\n${section}\n`
      : readme.slice(0, start) + section + readme.slice(readme.indexOf(end) + end.length);
  writeFileSync(README, updated);
}

function renderComparison({ title, setting, rounds, metrics, notes = [] }: ComparisonResult): string {
  const names = metrics[0]?.contenders.map(({ name }) => name) ?? [];
  const peers = names.slice(1);
  const head = ['metric', ...names, ...peers.map((peer) => `ratio to ${peer}`), 'aim'];
  const rows = metrics.map((metric) => [
    metric.metric,
    ...names.map((name) => measuredBy(metric, name)),
    ...peers.map((peer) => ratioOf(metric, peer)),
    aimsOf(metric),
  ]);
  return [
    `## ${title}`,
    '',
    `${setting} ${rounds} rounds, alternating; median (lowest to highest). A ratio above 1 is in Dure's favour.`,
    '',
    ...table(head, rows),
    ...(notes.length === 0 ? [] : ['', ...notes]),
  ].join('\n');
}

function renderReadings({ title, setting, rows, notes = [] }: Readings): string {
  return [
    `## ${title}`,
    '',
    setting,
    '',
    ...table(
      ['what', 'measured', 'aim'],
      rows.map(({ what, measured, aim = '' }) => [what, measured, aim]),
    ),
    ...(notes.length === 0 ? [] : ['', ...notes]),
  ].join('\n');
}

function measuredBy({ contenders }: MetricResult, name: string): string {
  const found = contenders.find((contender) => contender.name === name);
  return found === undefined ? '' : showSpread(found.value);
}

function ratioOf({ ratios }: MetricResult, peer: string): string {
  const found = ratios.find((ratio) => ratio.peer === peer);
  return found === undefined ? '' : showSpread(found.ratio);
}

function aimsOf({ ratios }: MetricResult): string {
  return ratios.flatMap(({ peer, aim }) => (aim === undefined ? [] : `${aim} of ${peer}`)).join('; ');
}

function showSpread({ median, min, max }: Spread): string {
  return `${readable(median)} (${readable(min)} to ${readable(max)})`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---|').join('')}`, ...rows.map((row) => `| ${row.join(' | ')} |`)];
}

/** Before other work on the machine, or behind it. Linux weighs sessions first, then the processes in each. @see sched(7), autogroup */
function precedence(): string {
  const session = Number(/nice (-?\d+)/.exec(readAutogroup())?.[1] ?? 0);
  const own = getPriority();
  if (isRealTime()) return ', run at real-time priority beside other work';
  return `${own === 0 ? '' : `, run at nice ${own}`}${session === 0 ? '' : `, run in a session at nice ${session} beside other work`}`;
}

/** SCHED_FIFO or SCHED_RR, which children inherit. @see proc(5), field 41 of stat */
function isRealTime(): boolean {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  return ['1', '2'].includes(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38] ?? '');
}

function readAutogroup(): string {
  try {
    return readFileSync('/proc/self/autogroup', 'utf8');
  } catch {
    return ''; // A kernel without.
  }
}

function machine(): string {
  const [processor] = cpus();
  return `${cpus().length} cores (${processor?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}`;
}
