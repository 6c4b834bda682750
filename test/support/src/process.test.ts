import { describe, expect, test } from 'vitest';
import { findProgram, RunningProcess, runCommand } from './process.ts';

describe('runCommand', () => {
  test('gives both outputs, and passes input on', async () => {
    expect(await runCommand('sh', ['-c', 'cat; echo err >&2'], { input: 'in' })).toEqual({ stdout: 'in', stderr: 'err\n' });
  });

  test('a failure says what was run and what it said', async () => {
    await expect(runCommand('sh', ['-c', 'echo why >&2; exit 3'])).rejects.toThrow(/exit 3\nwhy/);
    await expect(runCommand('no-such-program', [])).rejects.toThrow(/no-such-program/);
    await expect(runCommand('sleep', ['30'], { timeoutMs: 50 })).rejects.toThrow(/timed out/);
  });
});

describe('findProgram', () => {
  test('finds what is on PATH only', async () => {
    expect(await findProgram('sh')).toMatch(/\/sh$/);
    expect(await findProgram('no-such-program')).toBeUndefined();
  });
});

describe('RunningProcess', () => {
  test('waits for a line that is there already, and for one to come', async () => {
    await using running = await RunningProcess.start('sh', ['-c', 'echo one; sleep 0.05; echo two >&2; exec sleep 30']);
    expect(await running.waitForLine(/^one$/)).toBe('one');
    expect(await running.waitForLine(/tw/)).toBe('two');
    expect(await running.waitForLine(/one/)).toBe('one');
    expect(running.exit).toBeUndefined();
  });

  test('says so when the process ends, or the time, without the line', async () => {
    await using ended = await RunningProcess.start('sh', ['-c', 'echo only; exit 4']);
    await expect(ended.waitForLine(/never/)).rejects.toThrow(/"code":4.*only/s);
    await using silent = await RunningProcess.start('sleep', ['30']);
    await expect(silent.waitForLine(/never/, 50)).rejects.toThrow(/no line/);
  });

  test('insists when a process ignores the request to end', async () => {
    const running = await RunningProcess.start('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.01; done']);
    await running.waitForLine(/ready/);
    expect(await running.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await running.stop()).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('cannot start what is not there', async () => {
    await expect(RunningProcess.start('/no/such/program', [])).rejects.toThrow(/start \/no\/such\/program/);
  });
});
