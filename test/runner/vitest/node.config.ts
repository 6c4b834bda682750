import { defineConfig } from 'vitest/config';
import { TallyReporter } from '../src/tally-reporter.ts';

/** Tests that change this machine (namespaces, mounts, cgroups, links): as root, one file at a time. */
export default defineConfig({
  test: {
    reporters: ['default', new TallyReporter()],
    include: ['**/src/**/*.node.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    exclude: ['**/node_modules/**', 'test/e2e/**', 'test/lab/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
