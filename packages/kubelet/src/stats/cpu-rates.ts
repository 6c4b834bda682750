import type { Clock } from '@dure/foundation';
import type { NodeUsage, PodUsage } from './usage.ts';

/** Nanoseconds of CPU per second. What was not there at the first reading, or began anew since, is left out. */
export interface CpuRates {
  readonly node: number | undefined;
  /** By Pod uid. */
  readonly pods: ReadonlyMap<string, number>;
  /** By {@link containerKey}. */
  readonly containers: ReadonlyMap<string, number>;
}

export interface UsageReading {
  readonly atMs: number;
  readonly node: NodeUsage;
  readonly pods: readonly PodUsage[];
}

/** A rate over less is noise. */
const WINDOW_MIN_MS = 500;
/** A rate over more says nothing about now. */
const WINDOW_MAX_MS = 30_000;

export function containerKey(podUid: string, containerName: string): string {
  return `${podUid}/${containerName}`;
}

/** What was used per second between two readings. Pure. */
export function cpuRatesBetween(before: UsageReading, after: UsageReading): CpuRates {
  const seconds = (after.atMs - before.atMs) / 1000;
  const rate = (from: number | undefined, to: number): number | undefined =>
    from === undefined || to < from || seconds <= 0 ? undefined : Math.round((to - from) / seconds);
  const [old, now] = [countersOf(before.pods), countersOf(after.pods)];
  const ratesOf = (from: ReadonlyMap<string, number>, to: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
    new Map(
      [...to].flatMap(([key, value]): [string, number][] => {
        const found = rate(from.get(key), value);
        return found === undefined ? [] : [[key, found]];
      }),
    );
  return {
    node: rate(before.node.cpuUsageNs, after.node.cpuUsageNs),
    pods: ratesOf(old.pods, now.pods),
    containers: ratesOf(old.containers, now.containers),
  };
}

/**
 * Readings with the rates since the one before. Nothing is sampled while nobody asks: whoever asks after a pause, or about a container that is
 * new, waits for half a second between two readings.
 */
export class UsageMeter {
  readonly #read: () => Promise<UsageReading>;
  readonly #clock: Clock;
  #last: UsageReading | undefined;

  /** @param read `atMs` in monotonic time. */
  constructor(read: () => Promise<UsageReading>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  async measure(signal?: AbortSignal): Promise<{ readonly reading: UsageReading; readonly rates: CpuRates }> {
    let before = this.#last;
    const nowMs = this.#clock.monotonicMs();
    if (before === undefined || nowMs - before.atMs > WINDOW_MAX_MS) before = await this.#read();
    const waitMs = WINDOW_MIN_MS - (this.#clock.monotonicMs() - before.atMs);
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
    let reading = await this.#read();
    if (hasNews(before, reading)) {
      before = reading;
      await this.#clock.sleep(WINDOW_MIN_MS, signal);
      reading = await this.#read();
    }
    this.#last = reading;
    return { reading, rates: cpuRatesBetween(before, reading) };
  }
}

function countersOf(pods: readonly PodUsage[]): { readonly pods: Map<string, number>; readonly containers: Map<string, number> } {
  return {
    pods: new Map(pods.map(({ pod, cpuUsageNs }) => [pod.metadata.uid, cpuUsageNs])),
    containers: new Map(
      pods.flatMap(({ pod, containers }) =>
        containers.map(({ name, stats }): [string, number] => [containerKey(pod.metadata.uid, name), stats.cpuUsageNs]),
      ),
    ),
  };
}

/** Something runs that did not, or that began anew. */
function hasNews(before: UsageReading, after: UsageReading): boolean {
  const old = countersOf(before.pods).containers;
  return [...countersOf(after.pods).containers].some(([key, value]) => value < (old.get(key) ?? Number.POSITIVE_INFINITY));
}
