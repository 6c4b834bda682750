import { builtinKinds, type ConfigMap, configMaps, KindRegistry } from '@dure/api';
import { SYSTEM_USER } from '@dure/apiserver';
import { startTestServer } from '@dure/apiserver/testing';
import { createClient } from '@dure/client';
import { silentLogger, systemClock } from '@dure/foundation';
import type { Store } from '@dure/store';
import { openEtcdStore } from '@dure/store/etcd';
import { describe, expect, test } from 'vitest';
import { etcdUnavailable, startEtcd } from './etcd-server.ts';

const unavailable = await etcdUnavailable();

/** `store`, whose watches tell everything late: so a cache that is fed by them is always behind. */
function withLateWatch(store: Store, lateMs: number): Store {
  return {
    revision: () => store.revision(),
    get: (key, at) => store.get(key, at),
    list: (prefix, options) => store.list(prefix, options),
    count: (prefix) => store.count(prefix),
    append: (change, expected, durability, signal) => store.append(change, expected, durability, signal),
    async *watch(prefix, after, signal) {
      for await (const batch of store.watch(prefix, after, signal)) {
        await systemClock.sleep(lateMs);
        yield batch;
      }
    },
    requestProgress: () => store.requestProgress(),
    compact: (at) => store.compact(at),
    flush: () => store.flush(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

describe.skipIf(unavailable !== undefined)(
  `an API server whose watches are late${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    test('gets and lists that name no revision show what another server has just acknowledged', async () => {
      await using etcd = await startEtcd();
      const options = { endpoints: etcd.endpoints, clock: systemClock, log: silentLogger };
      await using one = await openEtcdStore(options);
      await using other = withLateWatch(await openEtcdStore(options), 50);
      await using writing = await startTestServer(new KindRegistry(builtinKinds), { store: one });
      await using reading = await startTestServer(new KindRegistry(builtinKinds), { store: other });
      const writer = createClient(writing.server.transport(SYSTEM_USER, 'test'), { userAgent: 'test' });
      const reader = createClient(reading.server.transport(SYSTEM_USER, 'test'), { userAgent: 'test' });
      const key = { namespace: 'default', name: 'map' };
      let map = await writer.create<ConfigMap>(configMaps, { metadata: key, data: { round: 'first' } });
      expect((await reader.list<ConfigMap>(configMaps, { namespace: 'default' })).items).toHaveLength(1);
      for (let round = 0; round < 20; round += 1) {
        map = await writer.update<ConfigMap>(configMaps, { ...map, data: { round: String(round) } });
        const read = round % 2 === 0 ? await reader.get<ConfigMap>(configMaps, key) : undefined;
        const listed = read ?? (await reader.list<ConfigMap>(configMaps, { namespace: 'default' })).items[0];
        expect(listed?.metadata.resourceVersion).toBe(map.metadata.resourceVersion);
      }
      // The cache may be as old as it likes where that was asked for: this is what makes the test mean something.
      map = await writer.update<ConfigMap>(configMaps, { ...map, data: { round: 'last' } });
      const cached = await reader.list<ConfigMap>(configMaps, { namespace: 'default', resourceVersion: '0' });
      expect(cached.items[0]?.data?.round).toBe('19');
    });
  },
);
