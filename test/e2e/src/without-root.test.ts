import { fileURLToPath } from 'node:url';
import { diffSnapshots, runCommand, takeHostSnapshot } from '@dure/test-support';
import { expect, it } from 'vitest';

const SETUP = fileURLToPath(new URL('../../../infra/setup.mjs', import.meta.url));

it('says in one line what up needs root for, and does nothing', async () => {
  const before = await takeHostSnapshot();
  const asNobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', process.execPath, SETUP, 'up'];
  const failure = await runCommand('setpriv', asNobody).then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  const said = (failure?.message ?? '').split('\n').filter((line) => line.startsWith('dure: '));
  expect(said).toEqual([
    'dure: dure up needs root: it makes namespaces, mounts, cgroups, links and routes for Pods. Nothing was changed; run it again with sudo.',
  ]);
  expect(diffSnapshots(before, await takeHostSnapshot())).toEqual({});
});
