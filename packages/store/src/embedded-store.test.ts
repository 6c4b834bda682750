import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { openEmbeddedStore } from './embedded-store.ts';
import { describeStore } from './testing/store-suite.ts';

describeStore(
  'embedded',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dure-store-'));
    const clock = new FakeClock();
    return {
      open: (options) => openEmbeddedStore({ directory, clock, log: silentLogger, reserveBytes: 1 << 16, ...options }),
      [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
    };
  },
  { isPersistent: true },
);
