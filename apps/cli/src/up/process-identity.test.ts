import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { identityOf, isAlive } from './process-identity.ts';

describe('process identity', () => {
  it('holds for a running process and no longer once it has ended', async () => {
    const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
    await once(child, 'spawn');
    const identity = identityOf(child.pid ?? 0);
    expect(identity !== undefined && isAlive(identity)).toBe(true);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    expect(identity !== undefined && isAlive(identity)).toBe(false);
  });

  it('is not that of another process with the same number, or of another boot', () => {
    const own = identityOf(process.pid);
    if (own === undefined) throw new Error('this process has no identity');
    expect(isAlive({ ...own, startTicks: `${Number(own.startTicks) + 1}` })).toBe(false);
    expect(isAlive({ ...own, bootId: '00000000-0000-0000-0000-000000000000' })).toBe(false);
  });
});
