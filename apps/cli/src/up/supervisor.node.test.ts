import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@dure/foundation';
import { afterEach, describe, expect, it } from 'vitest';
import type { ProcessIdentity } from './process-identity.ts';
import { Supervisor } from './supervisor.ts';

const scratch = mkdtempSync(join(tmpdir(), 'dure-supervisor-'));
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

describe('Supervisor', () => {
  it('starts what was killed again, under another identity, and ends it on stop', async () => {
    const seen: ProcessIdentity[] = [];
    let onStart: ((identity: ProcessIdentity) => void) | undefined;
    const nextStart = () => new Promise<ProcessIdentity>((resolve) => (onStart = resolve));
    let running = 0;
    const supervisor = new Supervisor({
      clock: systemClock,
      log: silentLogger,
      onChange: (processes) => {
        running = processes.size;
        const identity = processes.get('cat');
        if (identity === undefined) return;
        seen.push(identity);
        onStart?.(identity);
      },
    });
    const first = nextStart();
    supervisor.keep({ name: 'cat', argv: ['tail', '-f', '/dev/null'], env: process.env, logPath: join(scratch, 'log') });
    const killed = await first;
    const second = nextStart();
    process.kill(killed.pid, 'SIGKILL');
    const again = await second;
    expect(again).not.toEqual(seen[0]);
    await supervisor.stop('cat');
    expect(running).toBe(0);
    expect(readFileSync(join(scratch, 'log'), 'utf8')).toBe('');
  });
});
