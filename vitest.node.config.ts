import { defineConfig } from 'vitest/config';

/** Tests that change this machine (namespaces, mounts, cgroups, links): as root, one file at a time. */
export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.node.test.ts', 'apps/*/src/**/*.node.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
