import { apiBench } from './api-bench.ts';
import { containerStartBench, prepareContainerStartBench } from './container-start-bench.ts';
import { dnsBench, prepareDnsBench } from './dns-bench.ts';
import { footprintBench, prepareFootprintBench } from './footprint-bench.ts';
import { podStartBench, preparePodStartBench } from './pod-start-bench.ts';
import { prepareProxyBench, proxyBench } from './proxy-bench.ts';
import type { BenchResult } from './report.ts';
import { storeBench } from './store-bench.ts';

/** Prints a line of progress. */
export type Say = (line: string) => void;

export interface Bench {
  /** Fetches and builds what the run needs, with the machine's own network. */
  readonly prepare?: () => Promise<void>;
  /** Runs in network, mount and process namespaces of its own: it may listen, mount and start clusters as it likes, and ends with them. Needs root. */
  readonly isolated: boolean;
  /** Measures. Gives back whatever it made, also when it fails. */
  run(say: Say): Promise<BenchResult>;
}

/** What `pnpm bench NAME` knows. */
export const benches: Readonly<Record<string, Bench>> = {
  store: { isolated: false, run: storeBench },
  api: { isolated: false, run: apiBench },
  proxy: { prepare: prepareProxyBench, isolated: true, run: proxyBench },
  dns: { prepare: prepareDnsBench, isolated: true, run: dnsBench },
  'container-start': { prepare: prepareContainerStartBench, isolated: true, run: containerStartBench },
  'pod-start': { prepare: preparePodStartBench, isolated: true, run: podStartBench },
  footprint: { prepare: prepareFootprintBench, isolated: true, run: footprintBench },
};
