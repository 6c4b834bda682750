import { silentLogger, systemClock } from '@dure/foundation';
import { openEtcdStore } from '@dure/store/etcd';
import { describeStore } from '@dure/store/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { etcdUnavailable, startEtcd, type TestEtcd } from './etcd-server.ts';

const unavailable = await etcdUnavailable();

describe.skipIf(unavailable !== undefined)(`a real etcd${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let etcd: TestEtcd;
  let fixtures = 0;

  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]();
  });

  describeStore(
    'etcd',
    async () => {
      fixtures += 1;
      const prefix = `/fixture-${fixtures}`;
      return {
        open: (options) => openEtcdStore({ endpoints: etcd.endpoints, prefix, clock: systemClock, log: silentLogger, ...options }),
        async [Symbol.asyncDispose]() {},
      };
    },
    { isPersistent: true },
  );
});
