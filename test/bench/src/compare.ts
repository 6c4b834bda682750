/** Measures ours beside its peers in alternating rounds, so that a machine that is slower for a while is slower for all. */

import { trialNumber } from './trial-settings.ts';

/** One side of a comparison. A measurement gives one number per metric. */
export interface Contender {
  readonly name: string;
  /** Numbers by metric name, such as `requests/s`. */
  measure(): Promise<Readonly<Record<string, number>>>;
}

export interface Comparison {
  readonly title: string;
  /** What was measured and how, in a sentence. */
  readonly setting: string;
  /** The first one is ours; the others are peers. */
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  /** Metrics of which less is better; of all others more is. */
  readonly lowerIsBetter: readonly string[];
  /** The aim for ours against the named peer, shown beside the result and never enforced. */
  readonly aims?: readonly { readonly metric: string; readonly peer: string; readonly aim: string }[];
  /** Lines that stand below the table. */
  readonly notes?: readonly string[];
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface MetricResult {
  readonly metric: string;
  readonly contenders: readonly { readonly name: string; readonly value: Spread }[];
  /** Ours over the peer's, round by round; above 1 is in our favour whichever way the metric counts. */
  readonly ratios: readonly { readonly peer: string; readonly ratio: Spread; readonly aim?: string }[];
}

export interface ComparisonResult {
  readonly title: string;
  readonly setting: string;
  readonly rounds: number;
  readonly metrics: readonly MetricResult[];
  readonly notes?: readonly string[];
}

export async function compare(comparison: Comparison, say: (line: string) => void): Promise<ComparisonResult> {
  const { contenders, title, setting } = comparison;
  const rounds = trialNumber('DURE_BENCH_ROUNDS') ?? comparison.rounds;
  const measured = new Map(contenders.map(({ name }) => [name, [] as Readonly<Record<string, number>>[]]));
  for (let round = 0; round < rounds; round += 1) {
    // Who comes first changes from round to round: caches warm for the second.
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) {
      const numbers = await contender.measure();
      say(
        `${title}: round ${round + 1} of ${rounds}: ${contender.name}: ${Object.entries(numbers)
          .map(([metric, value]) => `${metric} ${readable(value)}`)
          .join(', ')}`,
      );
      measured.get(contender.name)?.push(numbers);
    }
  }
  return { title, setting, rounds, metrics: summarize(comparison, measured), notes: comparison.notes ?? [] };
}

/** Pure. @param measured Rounds in order, by contender. */
export function summarize(
  comparison: Pick<Comparison, 'contenders' | 'lowerIsBetter' | 'aims'>,
  measured: ReadonlyMap<string, readonly Readonly<Record<string, number>>[]>,
): readonly MetricResult[] {
  const names = comparison.contenders.map(({ name }) => name);
  const [ours = '', ...peers] = names;
  const metrics = [...new Set([...measured.values()].flatMap((rounds) => rounds.flatMap((numbers) => Object.keys(numbers))))];
  const column = (name: string, metric: string): readonly number[] =>
    (measured.get(name) ?? []).flatMap((numbers) => numbers[metric] ?? []);
  return metrics.map((metric) => ({
    metric,
    contenders: names.filter((name) => column(name, metric).length > 0).map((name) => ({ name, value: spread(column(name, metric)) })),
    ratios: peers
      .filter((peer) => column(peer, metric).length > 0 && column(ours, metric).length > 0)
      .map((peer) => {
        const theirs = column(peer, metric);
        const ratios = column(ours, metric).flatMap((value, round) => {
          const other = theirs[round];
          if (other === undefined || other === 0 || value === 0) return [];
          return comparison.lowerIsBetter.includes(metric) ? other / value : value / other;
        });
        const aim = comparison.aims?.find((candidate) => candidate.metric === metric && candidate.peer === peer)?.aim;
        return { peer, ratio: spread(ratios), ...(aim === undefined ? {} : { aim }) };
      }),
  }));
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
  return { median: median ?? Number.NaN, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Three significant digits, without an exponent. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(digits, 3));
}
