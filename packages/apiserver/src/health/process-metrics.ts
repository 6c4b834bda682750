import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** What the process itself says: event loop delay, memory, CPU. Started once; `stop` ends its timer. */
export class ProcessMetrics {
  readonly #delay: IntervalHistogram;

  constructor() {
    this.#delay = monitorEventLoopDelay({ resolution: 20 });
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** Prometheus text; the delays are since the last reading. */
  render(): string {
    const { rss, heapUsed } = process.memoryUsage();
    const cpu = process.cpuUsage();
    const lines = [
      '# HELP nodejs_eventloop_lag_seconds Delay of the event loop since the last scrape.',
      '# TYPE nodejs_eventloop_lag_seconds gauge',
      `nodejs_eventloop_lag_seconds{quantile="0.5"} ${this.#delay.percentile(50) / 1e9}`,
      `nodejs_eventloop_lag_seconds{quantile="0.99"} ${this.#delay.percentile(99) / 1e9}`,
      '# HELP process_resident_memory_bytes Resident memory size in bytes.',
      '# TYPE process_resident_memory_bytes gauge',
      `process_resident_memory_bytes ${rss}`,
      '# HELP nodejs_heap_size_used_bytes Used part of the heap.',
      '# TYPE nodejs_heap_size_used_bytes gauge',
      `nodejs_heap_size_used_bytes ${heapUsed}`,
      '# HELP process_cpu_seconds_total User and system CPU time.',
      '# TYPE process_cpu_seconds_total counter',
      `process_cpu_seconds_total ${(cpu.user + cpu.system) / 1e6}`,
    ];
    this.#delay.reset();
    return `${lines.join('\n')}\n`;
  }
}
