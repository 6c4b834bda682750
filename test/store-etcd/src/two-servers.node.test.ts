import {
  type ConfigMap,
  configMaps,
  endpointSlices,
  endpoints,
  isConflict,
  type Lease,
  leases,
  namespaces,
  type Service,
  serviceAccounts,
  services,
} from '@dure/api';
import type { Client } from '@dure/client';
import { seededRandom, systemClock } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startControlPlanes, type TestControlPlane, type TestControlPlanes } from './control-planes.ts';
import { etcdUnavailable, makeEtcdPki, startEtcd, type TestEtcd } from './etcd-server.ts';

const unavailable = await etcdUnavailable();
const ROUNDS = Number(process.env.DURE_ROUNDS ?? 120);
const LEASE = { namespace: 'kube-system', name: 'dure-control-plane' };

/** Events of ConfigMaps in a namespace, as one server tells them. */
function follow(client: Client, namespace: string, resourceVersion: string) {
  const stop = new AbortController();
  const events: string[] = [];
  const ended = (async () => {
    for await (const event of client.watch<ConfigMap>(configMaps, { namespace, resourceVersion, timeoutSeconds: 300 }, stop.signal)) {
      if (event.type === 'BOOKMARK') continue;
      const { metadata, data } = event.object;
      events.push(`${event.type} ${metadata.name} ${data?.round ?? ''} @${metadata.resourceVersion}`);
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) events.push(`ended: ${String(error)}`);
  });
  return {
    events,
    async stop(): Promise<void> {
      stop.abort();
      await ended;
    },
  };
}

describe.skipIf(unavailable !== undefined)(
  `two control planes on one etcd${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let etcd: TestEtcd;
    let cluster: TestControlPlanes;
    let planes: readonly [TestControlPlane, TestControlPlane];

    beforeAll(async () => {
      const pki = await makeEtcdPki();
      etcd = await startEtcd({ tls: pki });
      // Both at once: they race for all that a cluster starts with.
      cluster = await startControlPlanes(etcd, pki, 2);
      planes = cluster.planes as unknown as readonly [TestControlPlane, TestControlPlane];
    });
    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
      await etcd?.[Symbol.asyncDispose]();
    });

    const leader = async (client: Client): Promise<string> => (await client.get<Lease>(leases, LEASE)).spec?.holderIdentity ?? '';
    const apiAddresses = async (client: Client): Promise<readonly string[]> => {
      const { subsets } = await client.get(endpoints, { namespace: 'default', name: 'kubernetes' });
      return (subsets ?? []).flatMap((subset) => (subset.addresses ?? []).map(({ ip }) => ip));
    };

    test('what one has acknowledged the other lists at once, and both tell the same events in the same order', async () => {
      const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
      console.log(`two servers: DURE_SEED=${seed}`);
      const random = seededRandom(seed);
      const namespace = 'rounds';
      await planes[0].client.create(namespaces, { metadata: { name: namespace } });
      // Its own objects come from a controller; they are not the test's.
      await expect.poll(async () => (await planes[1].client.list(configMaps, { namespace })).items.length, { timeout: 20_000 }).toBe(1);
      const { metadata } = await planes[0].client.list(configMaps, { namespace });
      const watches = planes.map(({ client }) => follow(client, namespace, metadata.resourceVersion ?? ''));
      const standing = new Map<string, ConfigMap>();
      const expected: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const [one, other] = planes;
        const { from, to } = random.integer(2) === 0 ? { from: one, to: other } : { from: other, to: one };
        const name = `map-${random.integer(8)}`;
        const known = standing.get(name);
        const data = { round: String(round) };
        if (known === undefined) {
          const made = await from.client.create<ConfigMap>(configMaps, { metadata: { namespace, name }, data });
          standing.set(name, made);
          expected.push(`ADDED ${name} ${round} @${made.metadata.resourceVersion}`);
        } else if (random.integer(3) === 0) {
          await from.client.delete(configMaps, { namespace, name });
          standing.delete(name);
          expected.push(`DELETED ${name} ${known.data?.round}`);
        } else {
          // The other server's revision is good here: it is the same store's.
          const made = await from.client.update<ConfigMap>(configMaps, { ...known, data });
          standing.set(name, made);
          expected.push(`MODIFIED ${name} ${round} @${made.metadata.resourceVersion}`);
          const stale = await to.client.update<ConfigMap>(configMaps, { ...known, data }).then(
            () => undefined,
            (error: unknown) => error,
          );
          expect(isConflict(stale)).toBe(true);
        }
        const { items } = await to.client.list<ConfigMap>(configMaps, { namespace });
        const versions = (objects: Iterable<ConfigMap>): readonly string[] =>
          [...objects].map((object) => `${object.metadata.name} ${object.metadata.resourceVersion}`).sort();
        expect(versions(items.filter((object) => object.metadata.name.startsWith('map-')))).toEqual(versions(standing.values()));
        const got = await to.client.get<ConfigMap>(configMaps, { namespace, name }).catch(() => undefined);
        expect(got?.metadata.resourceVersion).toBe(standing.get(name)?.metadata.resourceVersion);
      }
      for (const { events } of watches) await expect.poll(() => events.length, { timeout: 10_000 }).toBe(expected.length);
      expect(watches[0]?.events).toEqual(watches[1]?.events);
      // A deletion has a revision of its own, which no answer names.
      for (const [at, line] of expected.entries()) expect(watches[0]?.events[at]?.startsWith(line)).toBe(true);
      await Promise.all(watches.map((watch) => watch.stop()));
    });

    test('a list begun at one goes on at the other', async () => {
      const namespace = 'pages';
      await planes[0].client.create(namespaces, { metadata: { name: namespace } });
      for (let at = 0; at < 25; at += 1)
        await planes[at % 2]?.client.create<ConfigMap>(configMaps, { metadata: { namespace, name: `map-${String(at).padStart(2, '0')}` } });
      const names: string[] = [];
      let token: string | undefined;
      for (let page = 0; page === 0 || token; page += 1) {
        const list = await planes[page % 2 === 0 ? 0 : 1].client.list<ConfigMap>(configMaps, {
          namespace,
          limit: 4,
          ...(token && { continue: token }),
        });
        names.push(...list.items.map(({ metadata }) => metadata.name));
        token = list.metadata.continue;
      }
      expect(names.filter((name) => name.startsWith('map-'))).toEqual(
        Array.from({ length: 25 }, (_none, at) => `map-${String(at).padStart(2, '0')}`),
      );
    });

    test('no Service address or node port is given out twice', async () => {
      const made = await Promise.all(
        Array.from({ length: 40 }, (_none, at) =>
          (planes[at % 2] as TestControlPlane).client.create<Service>(services, {
            metadata: { namespace: 'default', name: `service-${at}` },
            spec: { type: 'NodePort', ports: [{ port: 80 }] },
          }),
        ),
      );
      expect(new Set(made.map(({ spec }) => spec?.clusterIP)).size).toBe(40);
      expect(new Set(made.map(({ spec }) => spec?.ports?.[0]?.nodePort)).size).toBe(40);
    });

    test('etcdctl shows objects where people look for them', async () => {
      const keys = (await etcd.ctl('get', '--prefix', '/registry/', '--keys-only')).split('\n');
      for (const key of [
        '/registry/namespaces/default',
        '/registry/configmaps/pages/map-00',
        '/registry/serviceaccounts/default/default',
        '/registry/services/specs/default/kubernetes',
      ])
        expect(keys).toContain(key);
    });

    test('while etcd restarts requests say so, and afterwards both go on', async () => {
      const [one, other] = planes;
      const { metadata } = await other.client.list(configMaps, { namespace: 'pages' });
      const watch = follow(other.client, 'pages', metadata.resourceVersion ?? '');
      await etcd.stop();
      const refused = await one.client.list(configMaps, { namespace: 'pages' }).catch((error: unknown) => error);
      expect(String(refused)).toMatch(/store does not answer/);
      await etcd.start();
      await expect
        .poll(() => one.client.list(configMaps, { namespace: 'pages' }).then(() => 'served', String), { timeout: 10_000 })
        .toBe('served');
      const made = await one.client.create<ConfigMap>(configMaps, {
        metadata: { namespace: 'pages', name: 'after' },
        data: { round: 'x' },
      });
      await expect.poll(() => watch.events, { timeout: 10_000 }).toEqual([`ADDED after x @${made.metadata.resourceVersion}`]);
      await watch.stop();
    });

    test('when etcd was away for longer than a leader may go unconfirmed, one leads again and its controllers work', async () => {
      const [{ client }] = planes;
      const before = await leader(client);
      const leading = planes.find(({ process: running }) => running.output.includes(before));
      await etcd.stop();
      await leading?.process.waitForLine(/lost leadership/, 30_000);
      await etcd.start();
      await expect
        .poll(() => client.create(namespaces, { metadata: { name: 'again' } }).then(() => 'made', String), { timeout: 15_000 })
        .toBe('made');
      await expect
        .poll(async () => (await client.list(serviceAccounts, { namespace: 'again' })).items.map(({ metadata }) => metadata.name), {
          timeout: 40_000,
        })
        .toEqual(['default']);
    });

    test('both stand behind the kubernetes Service, one leads, and when it goes the other takes over at once', async () => {
      for (const { client } of planes) expect(await apiAddresses(client)).toEqual(['192.0.2.1', '192.0.2.2']);
      const slice = await planes[0].client.get(endpointSlices, { namespace: 'default', name: 'kubernetes' });
      expect(slice.endpoints?.map(({ addresses }) => addresses[0])).toEqual(['192.0.2.1', '192.0.2.2']);

      const holder = await leader(planes[0].client);
      const leading = planes.find((plane) =>
        plane.process.output.split('\n').some((line) => /became leader/.test(line) && line.includes(holder)),
      );
      const following = planes.find((plane) => plane !== leading);
      if (leading === undefined || following === undefined) throw new Error(`nobody says that it is ${holder}`);
      const ledBefore = following.process.output.split('became leader').length;

      const startedMs = systemClock.monotonicMs();
      expect(await leading.process.stop(15_000)).toEqual({ code: 0, signal: null });
      await expect.poll(() => following.process.output.split('became leader').length, { timeout: 20_000 }).toBe(ledBefore + 1);
      // Without the release it would have waited for the Lease to run out: 15 s.
      expect(systemClock.monotonicMs() - startedMs).toBeLessThan(12_000);
      expect(await leader(following.client)).not.toBe(holder);
      expect(await apiAddresses(following.client)).toEqual([following.advertised]);
      // The new leader's controllers work.
      await following.client.create(namespaces, { metadata: { name: 'later' } });
      await expect
        .poll(
          async () => (await following.client.list(serviceAccounts, { namespace: 'later' })).items.map(({ metadata }) => metadata.name),
          {
            timeout: 20_000,
          },
        )
        .toEqual(['default']);
    });
  },
);
