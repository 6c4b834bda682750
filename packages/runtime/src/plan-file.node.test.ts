import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { seededRandom } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCgroupMount } from './cgroup-tree.ts';
import { ContainerStartError } from './errors.ts';
import { startNative } from './native-program.ts';
import { builtBinary } from './native-runtime.ts';
import { type Directive, renderPlan } from './plan.ts';
import { footprint, type Machine, openMachine, whyNot } from './testing/machine.ts';

const reason = whyNot();
const run = promisify(execFile);
const native = fileURLToPath(new URL('../native', import.meta.url));

describe.skipIf(reason !== undefined)(`plans that dure-run refuses${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let directory: string;
  /** dure-run with the compiler's checks of memory and undefined behaviour. */
  let checked: string;
  let machine: Machine;

  beforeAll(async () => {
    machine = await openMachine();
    directory = await mkdtemp(join(tmpdir(), 'dure-plan-'));
    checked = join(directory, 'dure-run-checked');
    const sources = (await readdir(native)).filter((name) => name.endsWith('.c'));
    const flags = ['-std=gnu11', '-g', '-O1', '-D_GNU_SOURCE', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    await run('cc', [...flags, '-o', checked, ...sources], { cwd: native });
  });
  afterAll(async () => {
    await machine.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** What `dure-run check` says: its report, or that the plan is good. */
  async function check(bytes: Uint8Array | string): Promise<{ readonly code: number; readonly said: string }> {
    const path = join(directory, 'plan');
    await writeFile(path, bytes);
    return checkPath(path);
  }

  async function checkPath(path: string): Promise<{ readonly code: number; readonly said: string }> {
    try {
      // It keeps its memory for life, which is short.
      await run(checked, ['check', path], { env: { ASAN_OPTIONS: 'detect_leaks=0' } });
      return { code: 0, said: '' };
    } catch (error) {
      const { code, stderr } = error as { code: number; stderr: string };
      return { code, said: stderr };
    }
  }

  const good: readonly Directive[] = [
    ['state', '/run/x'],
    ['cgroup', '/sys/fs/cgroup/x'],
    ['root', '/run/x/rootfs'],
    ['overlay', 'volatile', '/u', '/w', '/l1', '/l2'],
    ['mount', 'proc', 'proc', '/proc', 'nosuid', ''],
    ['groups', 1, 2, 3],
    ['capabilities', 'ff', 'ff', 'ff', '0', '0'],
    ['seccomp', Uint8Array.of(0, 1, 2, 0, 0, 255, 0, 0)],
    ['no-new-privileges'],
    ['environment', 'A=line\nwith newline and 5:colon'],
    ['argument', 'sh'],
  ];

  it('takes what TypeScript writes, whatever bytes the fields hold', async () => {
    expect(await check(renderPlan(good))).toEqual({ code: 0, said: '' });
  });

  it.each<[string, Uint8Array | string, string]>([
    ['nothing', '', 'line 1: not a plan of this version'],
    ['garbage', 'garbage', 'line 1: not a plan of this version'],
    ['another version', 'dure-run plan 2\nend\n', 'line 1: not a plan of this version'],
    ['no end', 'dure-run plan 1\n', 'line 2: the plan is cut short'],
    ['an unknown directive', 'dure-run plan 1\nwish 1:a\nend\n', 'line 2: unknown directive'],
    ['too few fields', renderPlan([['user', 1]]), 'line 2: too few fields'],
    ['too many fields', renderPlan([['user', 1, 2, 3]]), 'line 2: too many fields'],
    ['words for numbers', renderPlan([['user', 'root', 0]]), 'line 2: a field is not a number'],
    ['a number too large', renderPlan([['user', '99999999999999999999', 0]]), 'line 2: a field is not a number'],
    ['bits that are no bits', renderPlan([['capabilities', 'xyz', '0', '0', '0', '0']]), 'line 2: a field is not hexadecimal'],
    ['a relative path', renderPlan([['root', 'relative']]), 'line 2: a path is not absolute'],
    ['an empty path', renderPlan([['root', '']]), 'line 2: a path is not absolute'],
    ['a path too long', renderPlan([['root', `/${'a'.repeat(4096)}`]]), 'line 2: a path is too long'],
    ['NUL in a text', renderPlan([['argument', 'a\0b']]), 'line 2: a field holds a NUL byte'],
    ['a length past the end', 'dure-run plan 1\nargument 99:abc\nend\n', 'line 2: the plan is cut short'],
    ['a length too short', 'dure-run plan 1\nargument 1:abc\nend\n', 'line 2: a field does not end where its length says'],
    ['a length without digits', 'dure-run plan 1\nargument :abc\nend\n', 'line 2: a field has no length'],
    ['a huge length', 'dure-run plan 1\nargument 999999999:abc\nend\n', 'line 2: a length is too long'],
    ['a negative length', 'dure-run plan 1\nargument -1:abc\nend\n', 'line 2: a field has no length'],
    ['an empty line', 'dure-run plan 1\n\nend\n', 'line 2: no directive'],
    ['more after the end', 'dure-run plan 1\nend\nargument 1:a\n', 'line 2: something follows the end'],
    ['too many fields of a list', renderPlan([['groups', ...Array.from({ length: 2000 }, () => 1)]]), 'line 2: too many fields'],
  ])('refuses %s and names the line', async (_, bytes, message) => {
    const { code, said } = await check(bytes);
    expect(code).toBe(1);
    expect(JSON.parse(said)).toMatchObject({ step: `read plan: ${message}`, errno: 0 });
  });

  it.each([
    ['a plan that is absent', '/nonexistent/plan', { step: 'open plan', errno: 2 }],
    ['a directory', '/tmp', { step: 'read plan: not a regular file' }],
    ['a device', '/dev/zero', { step: 'read plan: not a regular file' }],
  ])('refuses %s', async (_, path, report) => {
    const { code, said } = await checkPath(path);
    expect(code).toBe(1);
    expect(JSON.parse(said)).toMatchObject({ ...report, subject: path });
  });

  it('refuses a plan cut at any byte', async () => {
    const whole = renderPlan(good);
    for (let length = 0; length < whole.length; length += 7) expect((await check(whole.subarray(0, length))).code).toBe(1);
  }, 120_000);

  it('survives plans with bytes changed at random', async () => {
    const seed = Number(process.env.DURE_SEED ?? Math.trunc(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const whole = renderPlan(good);
    for (let round = 0; round < 150; round += 1) {
      const changed = Uint8Array.from(whole);
      for (let times = 0; times <= random.integer(4); times += 1) changed[random.integer(changed.length)] = random.integer(256);
      const { code, said } = await check(changed);
      expect([0, 1], `seed ${seed}: ${said}`).toContain(code);
      if (code === 1) expect(() => JSON.parse(said), `seed ${seed}`).not.toThrow();
    }
  }, 120_000);

  it.each<[string, readonly Directive[], string]>([
    ['no root', [['argument', 'sh']], 'read plan: no root'],
    ['no argument', [['root', '/tmp']], 'read plan: no argument'],
    [
      'an unknown kind of namespace',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['join', 'wish', '/proc/self/ns/net'],
      ],
      'read plan: unknown kind of namespace wish',
    ],
    [
      'a namespace that is gone',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['join', 'net', '/gone'],
      ],
      'open namespace /gone: no such file or directory',
    ],
    [
      'a process that is another by now',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['join-process', 'pid', 1, 1],
      ],
      'open process: this pid is another process by now',
    ],
    [
      'a mount source that is absent',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['bind', '/gone', '/x', '', 'private'],
      ],
      'open mount source /gone',
    ],
    [
      'an unknown attribute',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['bind', '/tmp', '/x', 'wish', 'private'],
      ],
      'unknown mount attribute wish',
    ],
    [
      'a layer that is absent',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['overlay', '', '/u', '/w', '/gone'],
      ],
      'open layer /gone',
    ],
    [
      'a device program of a wrong size',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['devices', Uint8Array.of(1, 2, 3)],
      ],
      'load device program: its size is wrong',
    ],
    [
      'a device program the kernel refuses',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['devices', new Uint8Array(8)],
      ],
      'load device program',
    ],
    [
      'a log that cannot be opened',
      [
        ['root', '/tmp'],
        ['argument', 'x'],
        ['log', '/gone/log'],
      ],
      'open log /gone/log',
    ],
  ])('leaves nothing after %s', async (_, plan, message) => {
    const state = join(directory, 'state');
    const cgroup = join(await findCgroupMount(), `dure-test-plan-${process.pid}`);
    await mkdir(state, { recursive: true });
    await mkdir(cgroup, { recursive: true });
    const path = join(directory, 'run-plan');
    await writeFile(path, renderPlan([['state', state], ['cgroup', cgroup], ...plan]));
    const start = await startNative({ binary: builtBinary, args: ['run', path] });
    expect(start.kind === 'failed' ? new ContainerStartError(start.failure).message : 'started').toContain(message);
    expect(await readdir(state)).toEqual([]);
    // The process itself ends right after its report; with a process left in it, the cgroup would stay for ever.
    while ((await footprint(directory)).processes.some((line) => line.includes('run-plan')))
      await new Promise((resolve) => setTimeout(resolve, 1));
    await rmdir(cgroup);
  });
});
