import type { SeatPool } from './seat-pool.ts';

/** Upper bounds in seconds, upstream's. */
const BUCKETS_S: readonly number[] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];
/** Pairs of level and schema beyond this share one place: schemas come and go. */
const FLOWS_MAX = 1000;

interface Waits {
  readonly buckets: number[];
  sum: number;
  count: number;
}

/** What is counted for the requests of one schema at one level. */
export interface FlowCounts {
  readonly level: string;
  readonly schema: string;
  dispatched: number;
  executing: number;
  seats: number;
  inQueue: number;
  readonly rejected: Map<string, number>;
  /** Seconds in the queue; `true`: of those that were let in then. */
  readonly waits: ReadonlyMap<boolean, Waits>;
}

/** The `apiserver_flowcontrol_*` metrics. */
export class FairnessMetrics {
  readonly #flows = new Map<string, FlowCounts>();

  /** The counters of `schema` at `level`; the same ones each time. */
  flow(level: string, schema: string): FlowCounts {
    const key = this.#flows.size < FLOWS_MAX ? `${level}/${schema}` : '/';
    let counts = this.#flows.get(key);
    if (counts === undefined) {
      const waits = (): Waits => ({ buckets: BUCKETS_S.map(() => 0), sum: 0, count: 0 });
      counts = {
        level: key === '/' ? '' : level,
        schema: key === '/' ? '' : schema,
        dispatched: 0,
        executing: 0,
        seats: 0,
        inQueue: 0,
        rejected: new Map(),
        waits: new Map([
          [true, waits()],
          [false, waits()],
        ]),
      };
      this.#flows.set(key, counts);
    }
    return counts;
  }

  waited({ waits }: FlowCounts, waitedMs: number, execute: boolean): void {
    const histogram = waits.get(execute);
    if (histogram === undefined) return;
    const seconds = waitedMs / 1000;
    histogram.sum += seconds;
    histogram.count += 1;
    const first = BUCKETS_S.findIndex((bound) => seconds <= bound);
    if (first >= 0) histogram.buckets[first] = (histogram.buckets[first] ?? 0) + 1;
  }

  rejected({ rejected }: FlowCounts, reason: string): void {
    rejected.set(reason, (rejected.get(reason) ?? 0) + 1);
  }

  /** Rejections of a level by reason. */
  rejections(level: string): ReadonlyMap<string, number> {
    const totals = new Map<string, number>();
    for (const flow of this.#flows.values()) {
      if (flow.level !== level) continue;
      for (const [reason, count] of flow.rejected) totals.set(reason, (totals.get(reason) ?? 0) + count);
    }
    return totals;
  }

  dispatched(level: string): number {
    let total = 0;
    for (const flow of this.#flows.values()) if (flow.level === level) total += flow.dispatched;
    return total;
  }

  /** Prometheus text. */
  render(pool: SeatPool): string {
    const lines: string[] = [];
    const head = (name: string, type: string, help: string): string => {
      const full = `apiserver_flowcontrol_${name}`;
      lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`);
      return full;
    };
    const perFlow = (name: string, type: string, help: string, value: (flow: FlowCounts) => number): void => {
      const full = head(name, type, help);
      for (const flow of this.#flows.values()) lines.push(`${full}{${labelsOf(flow)}} ${value(flow)}`);
    };
    perFlow('dispatched_requests_total', 'counter', 'Requests that were let in.', ({ dispatched }) => dispatched);
    perFlow('current_executing_requests', 'gauge', 'Requests that run now, watches only while they begin.', ({ executing }) => executing);
    perFlow('current_executing_seats', 'gauge', 'Seats of the requests that run now.', ({ seats }) => seats);
    perFlow('current_inqueue_requests', 'gauge', 'Requests that wait now.', ({ inQueue }) => inQueue);
    const rejected = head('rejected_requests_total', 'counter', 'Requests that were refused.');
    for (const flow of this.#flows.values())
      for (const [reason, count] of flow.rejected) lines.push(`${rejected}{${labelsOf(flow)},reason="${reason}"} ${count}`);
    const waits = head('request_wait_duration_seconds', 'histogram', 'Time in a queue.');
    for (const flow of this.#flows.values()) {
      for (const [execute, { buckets, sum, count }] of flow.waits) {
        if (count === 0) continue;
        const labels = `${labelsOf(flow)},execute="${execute}"`;
        let total = 0;
        for (const [index, bound] of BUCKETS_S.entries()) {
          total += buckets[index] ?? 0;
          lines.push(`${waits}_bucket{${labels},le="${bound}"} ${total}`);
        }
        lines.push(`${waits}_bucket{${labels},le="+Inf"} ${count}`, `${waits}_sum{${labels}} ${sum}`, `${waits}_count{${labels}} ${count}`);
      }
    }
    for (const [name, help, of] of [
      ['nominal_limit_seats', "The level's own seats.", 'nominal'],
      ['lower_limit_seats', 'Those of them that it does not lend.', 'reserved'],
      ['upper_limit_seats', 'The most it may use with what it borrows.', 'most'],
    ] as const) {
      const full = head(name, 'gauge', help);
      for (const { name: level, limits } of pool.levels) lines.push(`${full}{priority_level="${level}"} ${limits[of]}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

function labelsOf({ level, schema }: FlowCounts): string {
  return `priority_level="${level}",flow_schema="${schema}"`;
}
