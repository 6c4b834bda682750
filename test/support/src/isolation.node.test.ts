import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { runIsolated } from './isolation.ts';
import { RunningProcess } from './process.ts';

describe('an isolated run', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dure-isolation-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  /** What a shell script inside wrote to `$OUT`. */
  const inside = async (script: string, cgroups: 'layout of the machine' | 'version 2 alone'): Promise<string> => {
    const out = join(directory, 'out');
    await runIsolated(['sh', '-c', script], { cgroups, env: { ...process.env, OUT: out } });
    return readFile(out, 'utf8');
  };

  it.each(['layout of the machine', 'version 2 alone'] as const)(
    'sees cgroups of its own only, with %s, and leaves none behind',
    async (cgroups) => {
      const script = `cg=$(awk '$(NF-2) == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
      mkdir -p $cg/dure/node-1/kubepods
      sleep 1000 & echo $! > $cg/dure/node-1/kubepods/cgroup.procs
      { grep ^0:: /proc/self/cgroup; ls -d $cg/*/; } > $OUT`;
      const shown = await inside(script, cgroups);
      expect(shown).toMatch(/^0::\/tests$/m);
      expect(shown.match(/\/\n/g)).toHaveLength(2);
      const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' '));
      const mount = mounts.find((fields) => fields.at(-3) === 'cgroup2')?.[4] ?? '';
      expect((await readdir(mount)).filter((name) => name === `dure-isolated-${process.pid}`)).toEqual([]);
    },
  );

  it('ends with all that it started when it is asked to', async () => {
    const out = join(directory, 'started');
    const script = `import { runIsolated } from ${JSON.stringify(new URL('./isolation.ts', import.meta.url).href)};
      process.exitCode = await runIsolated(['sh', '-c', 'sleep 1000 & echo $$ > ${out}; wait'], { cgroups: 'layout of the machine' });`;
    await using run = await RunningProcess.start(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
    await eventually('the program inside', async () => ((await readFile(out, 'utf8').catch(() => '')) === '' ? undefined : true));
    process.kill(run.pid, 'SIGTERM');
    await run.exited;
    const left = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' '));
    const mount = left.find((fields) => fields.at(-3) === 'cgroup2')?.[4] ?? '';
    expect((await readdir(mount)).filter((name) => name === `dure-isolated-${run.pid}`)).toEqual([]);
  });

  it('has a network of its own, gives the exit code, and takes its temporary files with it', async () => {
    const shown = await inside(
      'ls /sys/class/net > $OUT; ip link | grep -c "^[0-9]" > $OUT; echo $TMPDIR >> $OUT; touch $TMPDIR/left',
      'layout of the machine',
    );
    const [links, scratch = ''] = shown.split('\n');
    expect(links).toBe('1');
    await expect(readdir(scratch)).rejects.toThrow('ENOENT');
    expect(await runIsolated(['sh', '-c', 'exit 7'], { cgroups: 'layout of the machine' })).toBe(7);
  });
});
