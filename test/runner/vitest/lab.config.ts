import { defineConfig } from 'vitest/config';
import { TallyReporter } from '../src/tally-reporter.ts';

/** Real Linux kernels in virtual machines: one file at a time, as root, in namespaces that the test runner makes. */
export default defineConfig({
  test: {
    reporters: ['default', new TallyReporter()],
    include: ['test/lab/src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
  },
});
