import { defineConfig } from 'vitest/config';
import { TallyReporter } from '../src/tally-reporter.ts';

/** Whole clusters on this machine: one file at a time, as root, in namespaces that the test runner makes. */
export default defineConfig({
  test: {
    reporters: ['default', new TallyReporter()],
    include: ['test/e2e/src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
});
