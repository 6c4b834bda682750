import { openMemoryStore } from './memory-store.ts';
import { describeStore } from './testing/store-suite.ts';

describeStore(
  'memory',
  async () => ({
    open: async (options) => openMemoryStore(options),
    async [Symbol.asyncDispose]() {},
  }),
  { isPersistent: false },
);
