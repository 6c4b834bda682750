import type { BenchResult } from './report.ts';
import { storeBench } from './store-bench.ts';

/** What `pnpm bench NAME` knows. */
export const benches: Readonly<Record<string, (say: (line: string) => void) => Promise<BenchResult>>> = {
  store: storeBench,
};
