import { spawn } from 'node:child_process';
import { mkdir, rmdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { diffSnapshots, type SnapshotDiff, takeHostSnapshot } from './host-snapshot.ts';
import { findProgram, runCommand } from './process.ts';

const unavailable =
  process.getuid?.() !== 0
    ? 'making links and mounts needs root'
    : (await findProgram('ip')) === undefined
      ? 'ip is not installed'
      : undefined;
const NAME = `dt${process.pid}`;

describe.skipIf(unavailable !== undefined)(`host snapshot${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  /** What a change shows as, and that undoing it shows as nothing. Other programs' changes, which go on beside this test, are left out. */
  const seen = async (change: () => Promise<() => Promise<unknown>>): Promise<SnapshotDiff> => {
    const options = { processes: new RegExp(`sleep 9${process.pid}`) };
    const before = await takeHostSnapshot(options);
    const undo = await change();
    let during: SnapshotDiff;
    try {
      during = diffSnapshots(before, await takeHostSnapshot(options));
    } finally {
      await undo();
    }
    expect(mine(diffSnapshots(before, await takeHostSnapshot(options)))).toEqual({});
    return mine(during);
  };
  const mine = (diff: SnapshotDiff): SnapshotDiff =>
    Object.fromEntries(
      Object.entries(diff).flatMap(([part, lines]) => {
        const ours = lines.filter((line) => line.includes(NAME) || line.includes(`9${process.pid}`));
        return ours.length === 0 ? [] : [[part, ours]];
      }),
    );

  test('sees a link, its address and its routes', async () => {
    const diff = await seen(async () => {
      await runCommand('ip', ['link', 'add', NAME, 'type', 'veth', 'peer', 'name', `${NAME}p`]);
      await runCommand('ip', ['address', 'add', '198.18.77.1/32', 'dev', NAME]);
      await runCommand('ip', ['link', 'set', NAME, 'up']);
      await runCommand('ip', ['route', 'add', '198.18.78.0/24', 'dev', NAME, 'table', '7777']);
      return () => runCommand('ip', ['link', 'del', NAME]);
    });
    expect(diff.links?.[0]).toContain(`+ `);
    expect(diff.addresses?.[0]).toContain('198.18.77.1/32');
    expect(diff.routes?.some((line) => line.includes('table 7777'))).toBe(true);
  });

  test('sees a named network namespace and the mount that keeps it', async () => {
    const diff = await seen(async () => {
      await runCommand('ip', ['netns', 'add', NAME]);
      return () => runCommand('ip', ['netns', 'del', NAME]);
    });
    expect(Object.keys(diff)).toContain('networkNamespaces');
    expect(Object.keys(diff)).toContain('mounts');
  });

  test('sees a mount', async () => {
    const point = `/tmp/${NAME}`;
    const diff = await seen(async () => {
      await mkdir(point);
      await runCommand('mount', ['-t', 'tmpfs', NAME, point]);
      return async () => {
        await runCommand('umount', [point]);
        await rmdir(point);
      };
    });
    expect(diff.mounts?.[0]).toBe(`+ ${point} tmpfs ${NAME} /`);
  });

  test('sees a table of nftables', async (context) => {
    if ((await findProgram('nft')) === undefined) context.skip('nft is not installed');
    const diff = await seen(async () => {
      await runCommand('nft', ['add', 'table', 'inet', NAME]);
      return () => runCommand('nft', ['delete', 'table', 'inet', NAME]);
    });
    expect(diff.nftables?.[0]).toContain(NAME);
  });

  test('sees a cgroup', async (context) => {
    const { mounts } = await takeHostSnapshot();
    const mount = mounts.find((line) => line.split(' ')[1] === 'cgroup2')?.split(' ')[0];
    if (mount === undefined) return context.skip('no cgroup v2 is mounted');
    const diff = await seen(async () => {
      await mkdir(`${mount}/${NAME}`);
      return () => rmdir(`${mount}/${NAME}`);
    });
    expect(diff.cgroups).toEqual([`+ ${mount}/${NAME}`]);
  });

  test('sees a listener and a process', async () => {
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
        server.close();
      });
    });
    const before = await takeHostSnapshot();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const during = diffSnapshots(before, await takeHostSnapshot());
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if ((await findProgram('ss')) !== undefined)
      expect(during.listeners?.some((line) => line.startsWith('+') && line.includes(`127.0.0.1:${port}`))).toBe(true);

    const diff = await seen(async () => {
      const child = spawn('sleep', [`9${process.pid}`]);
      const ended = new Promise((resolve) => child.once('close', resolve));
      await new Promise((resolve) => child.once('spawn', resolve));
      return async () => {
        child.kill();
        await ended;
      };
    });
    expect(diff.processes?.[0]).toContain(`sleep 9${process.pid}`);
  });
});
