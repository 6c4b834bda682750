import { defineConfig } from 'vitest/config';

/** Unit tests stand beside the code; what needs root, machines or several workspaces lives in `test/` with a configuration of its own. */
export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts'],
    exclude: ['**/*.node.test.ts', '**/node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
  },
});
