import { defineConfig } from 'vitest/config';
import { TallyReporter } from './test/runner/src/tally-reporter.ts';

/** Whole clusters on this machine and in virtual machines: one file at a time, as root. */
export default defineConfig({
  test: {
    reporters: ['default', new TallyReporter()],
    include: ['test/e2e/src/**/*.test.ts', 'test/lab/src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
});
