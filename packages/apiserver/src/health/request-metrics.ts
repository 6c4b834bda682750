import type { RequestInfo } from '../request/request-info.ts';

/** Upper bounds in seconds, upstream's. */
const BUCKETS_S: readonly number[] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];
/** Label sets beyond this are not kept: paths come from clients. */
const SERIES_MAX = 4000;

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Counts requests for /metrics. */
export class RequestMetrics {
  readonly #totals = new Map<string, number>();
  readonly #durations = new Map<string, Histogram>();
  readonly #longRunning = new Map<string, number>();

  observe(info: RequestInfo | undefined, method: string, code: number, durationMs: number, longRunning: boolean): void {
    const labels = labelsOf(info, method);
    add(this.#totals, `${labels},code="${code}"`, 1);
    if (longRunning) return;
    let histogram = this.#durations.get(labels);
    if (histogram === undefined) {
      if (this.#durations.size >= SERIES_MAX) return;
      histogram = { counts: BUCKETS_S.map(() => 0), sum: 0, count: 0 };
      this.#durations.set(labels, histogram);
    }
    const seconds = durationMs / 1000;
    histogram.sum += seconds;
    histogram.count += 1;
    for (const [index, bound] of BUCKETS_S.entries()) if (seconds <= bound) histogram.counts[index] = (histogram.counts[index] ?? 0) + 1;
  }

  /** A watch or stream began; the returned function says that it ended. */
  longRunning(info: RequestInfo): () => void {
    const labels = labelsOf(info, 'GET');
    add(this.#longRunning, labels, 1);
    return () => add(this.#longRunning, labels, -1);
  }

  /** Prometheus text. */
  render(): string {
    const lines = ['# HELP apiserver_request_total Requests by verb, resource and answer.', '# TYPE apiserver_request_total counter'];
    for (const [labels, value] of this.#totals) lines.push(`apiserver_request_total{${labels}} ${value}`);
    lines.push(
      '# HELP apiserver_request_duration_seconds Time to answer, without long-running requests.',
      '# TYPE apiserver_request_duration_seconds histogram',
    );
    for (const [labels, { counts, sum, count }] of this.#durations) {
      for (const [index, bound] of BUCKETS_S.entries())
        lines.push(`apiserver_request_duration_seconds_bucket{${labels},le="${bound}"} ${counts[index]}`);
      lines.push(`apiserver_request_duration_seconds_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(
        `apiserver_request_duration_seconds_sum{${labels}} ${sum}`,
        `apiserver_request_duration_seconds_count{${labels}} ${count}`,
      );
    }
    lines.push('# HELP apiserver_longrunning_requests Watches and streams open now.', '# TYPE apiserver_longrunning_requests gauge');
    for (const [labels, value] of this.#longRunning) lines.push(`apiserver_longrunning_requests{${labels}} ${value}`);
    return `${lines.join('\n')}\n`;
  }
}

function labelsOf(info: RequestInfo | undefined, method: string): string {
  if (info === undefined || info.kind === 'path') return `verb="${quote(method)}",group="",version="",resource="",subresource="",scope=""`;
  const { verb, group, version, resource, subresource, namespace, name } = info;
  const scope = name !== '' ? 'resource' : namespace !== '' ? 'namespace' : 'cluster';
  return `verb="${quote(verb.toUpperCase())}",group="${quote(group)}",version="${quote(version)}",resource="${quote(resource)}",subresource="${quote(subresource)}",scope="${scope}"`;
}

function quote(value: string): string {
  return value.slice(0, 63).replace(/[\\"\n]/g, '_');
}

function add(map: Map<string, number>, key: string, amount: number): void {
  const known = map.get(key);
  if (known === undefined && map.size >= SERIES_MAX) return;
  map.set(key, (known ?? 0) + amount);
}
