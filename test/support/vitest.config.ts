import { defineConfig } from 'vitest/config';

/** The tools themselves; `*.node.test.ts` among them download packages and start programs. */
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
