import { fileURLToPath } from 'node:url';
import { runCommand } from '@dure/test-support';
import { describe, expect, test } from 'vitest';
import { etcdUnavailable, startEtcd } from './etcd-server.ts';

const unavailable = await etcdUnavailable();
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

describe.skipIf(unavailable !== undefined)(
  `the API server's own tests${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    test('pass on etcd as they do in memory', { timeout: 400_000 }, async () => {
      await using etcd = await startEtcd();
      // One file at a time: they share the etcd, and some compact it, or wait for its newest revision to be one of theirs.
      const { stdout } = await runCommand('npx', ['vitest', 'run', '--maxWorkers=1', '--dir', 'packages/apiserver'], {
        cwd: ROOT,
        env: { ...process.env, DURE_TEST_ETCD: etcd.endpoints[0] },
        timeoutMs: 380_000,
      });
      expect(stdout).toMatch(/Tests .*\d+ passed/);
      // They were there, not in memory.
      expect((await etcd.ctl('get', '--prefix', '/', '--keys-only')).match(/\/registry\/configmaps\//g)?.length).toBeGreaterThan(20);
    });
  },
);
