import { defineConfig } from 'vitest/config';
import { TallyReporter } from '../src/tally-reporter.ts';

/** Unit tests stand beside the code; what needs root, machines or several workspaces lives in `test/` with a configuration of its own. */
export default defineConfig({
  test: {
    reporters: ['default', new TallyReporter()],
    include: ['**/src/**/*.test.ts'],
    exclude: ['**/*.node.test.ts', '**/node_modules/**', 'test/e2e/**', 'test/lab/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
  },
});
