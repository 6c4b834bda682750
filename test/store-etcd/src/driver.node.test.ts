import { silentLogger, systemClock } from '@dure/foundation';
import {
  CompactedError,
  type Revision,
  type Store,
  type StoreEvent,
  StoreFullError,
  StoreOpenError,
  StoreTooLargeError,
  StoreUnavailableError,
} from '@dure/store';
import { type EtcdStoreOptions, openEtcdStore } from '@dure/store/etcd';
import { describe, expect, test } from 'vitest';
import { startCut } from './cut.ts';
import { etcdUnavailable, makeEtcdPki, startEtcd } from './etcd-server.ts';

const unavailable = await etcdUnavailable();
const ABSENT = 0 as Revision;

const open = (endpoints: readonly string[], options: Partial<EtcdStoreOptions> = {}): Promise<Store> =>
  openEtcdStore({ endpoints, clock: systemClock, log: silentLogger, requestTimeoutMs: 3_000, connectTimeoutMs: 1_000, ...options });
const put = (store: Store, key: string, value: string | Uint8Array, expected = ABSENT): Promise<Revision> =>
  store.append({ kind: 'put', key, value: typeof value === 'string' ? Buffer.from(value) : value }, expected, 'durable');
const errorOf = (attempt: Promise<unknown>): Promise<unknown> =>
  attempt.then(
    () => 'no error',
    (error: unknown) => error,
  );
/** Tries until it succeeds; etcd needs a moment to elect a leader. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 100) throw error;
      await systemClock.sleep(200);
    }
  }
}

/** Collects events in the background. */
function follow(store: Store, prefix: string, after: Revision) {
  const stop = new AbortController();
  const events: StoreEvent[] = [];
  const ended = (async () => {
    for await (const batch of store.watch(prefix, after, stop.signal)) if (!('kind' in batch)) events.push(...batch);
  })().then(
    () => undefined,
    (error: unknown) => error,
  );
  return { events, ended, stop: () => stop.abort(), keys: () => events.map(({ key }) => key) };
}

describe.skipIf(unavailable !== undefined)(
  `etcd beside the contract${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    test('keys lie in etcd as they are named, and two stores on one etcd see the same', async () => {
      await using etcd = await startEtcd();
      await using one = await open(etcd.endpoints);
      await using other = await open(etcd.endpoints);
      const seen = follow(other, '/registry/', await other.revision());
      const made = await put(one, '/registry/configmaps/default/settings', '{"kind":"ConfigMap"}');
      expect((await other.get('/registry/configmaps/default/settings'))?.modifiedAt).toBe(made);
      expect(await etcd.ctl('get', '--prefix', '/registry/', '--keys-only')).toContain('/registry/configmaps/default/settings\n');
      expect(await etcd.ctl('get', '/registry/configmaps/default/settings', '--print-value-only')).toBe('{"kind":"ConfigMap"}\n');
      // What others write is seen too, several keys at one revision among it.
      await etcd.ctl('del', '/registry/configmaps/default/settings');
      await expect
        .poll(() => seen.events.map(({ kind, previous }) => [kind, previous && Buffer.from(previous.value).toString()]))
        .toEqual([
          ['put', undefined],
          ['delete', '{"kind":"ConfigMap"}'],
        ]);
      seen.stop();
      expect(await seen.ended).toBeUndefined();
    });

    test('what one has written another reads at once, however late its watch is', async () => {
      await using etcd = await startEtcd();
      const late = await startCut(etcd.endpoints[0] ?? '', 30);
      await using one = await open(etcd.endpoints);
      await using other = await open([late.endpoint]);
      const seen = follow(other, '/', await other.revision());
      for (let round = 0; round < 20; round += 1) {
        const [made, ...besides] = await Promise.all([0, 1, 2].map((at) => put(one, `/${round}/${at}`, 'x')));
        const newest = Math.max(made ?? 0, ...besides);
        // Several at once share a read; none may share one that began before.
        const read = other.revision();
        const again = await put(one, `/${round}/again`, 'x');
        expect(await read).toBeGreaterThanOrEqual(newest);
        const [revision, page] = await Promise.all([other.revision(), other.list(`/${round}/`)]);
        expect(revision).toBeGreaterThanOrEqual(again);
        expect(page.entries).toHaveLength(4);
      }
      const stop = new AbortController();
      // Progress waits for what is still on its way.
      const quiet = other.watch('/quiet/', await other.revision(), stop.signal)[Symbol.asyncIterator]();
      const told = quiet.next();
      const last = await put(one, '/last', 'x');
      await other.requestProgress();
      expect((await told).value).toEqual({ kind: 'progress', revision: last });
      expect(seen.events.at(-1)?.revision).toBe(last);
      stop.abort();
      seen.stop();
      late.close();
    });

    test('a prefix keeps clusters apart', async () => {
      await using etcd = await startEtcd();
      await using one = await open(etcd.endpoints, { prefix: '/one' });
      await using other = await open(etcd.endpoints, { prefix: '/other' });
      const seen = follow(other, '', await other.revision());
      await put(one, '/registry/a', 'of one');
      const made = await put(other, '/registry/a', 'of other');
      expect((await one.list('')).entries.map(({ key, value }) => [key, Buffer.from(value).toString()])).toEqual([
        ['/registry/a', 'of one'],
      ]);
      await expect.poll(() => seen.events.length).toBe(1);
      expect(seen.events[0]?.revision).toBe(made);
      expect(await etcd.ctl('get', '--prefix', '', '--keys-only')).toBe('/one/registry/a\n\n/other/registry/a\n\n');
      seen.stop();
    });

    test('TLS: a client certificate opens, none and a wrong one do not', async () => {
      const [pki, strangers] = [await makeEtcdPki(), await makeEtcdPki()];
      await using etcd = await startEtcd({ tls: pki });
      const { certificatePem: cert, privateKeyPem: key } = pki.client;
      await using store = await open(etcd.endpoints, { tls: { ca: pki.ca, cert, key } });
      const made = await put(store, '/a', 'one');
      expect(await store.revision()).toBe(made);
      const refused = { openTimeoutMs: 500 };
      expect(await errorOf(open(etcd.endpoints, { tls: { ca: pki.ca }, ...refused }))).toBeInstanceOf(StoreOpenError);
      expect(await errorOf(open(etcd.endpoints, { tls: { ca: strangers.ca, cert, key }, ...refused }))).toBeInstanceOf(StoreOpenError);
      const wrong = { ca: pki.ca, cert: strangers.client.certificatePem, key: strangers.client.privateKeyPem };
      expect(await errorOf(open(etcd.endpoints, { tls: wrong, ...refused }))).toBeInstanceOf(StoreOpenError);
    });

    test('a user and password open where etcd asks for them, and go on when the token has run out', async () => {
      await using etcd = await startEtcd({ args: ['--auth-token-ttl', '2'] });
      await etcd.ctl('user', 'add', 'root:secret');
      await etcd.ctl('user', 'grant-role', 'root', 'root');
      await etcd.ctl('auth', 'enable');
      await using store = await open(etcd.endpoints, { user: { name: 'root', password: 'secret' } });
      const first = await put(store, '/a', 'one');
      const seen = follow(store, '/', first);
      await systemClock.sleep(4_000);
      const second = await put(store, '/a', 'two', first);
      await expect.poll(() => seen.events.map(({ revision }) => revision)).toEqual([second]);
      seen.stop();
      const wrong = await errorOf(open(etcd.endpoints, { user: { name: 'root', password: 'guess' } }));
      expect(wrong).toBeInstanceOf(StoreOpenError);
      expect((wrong as Error).message).toMatch(/authentication failed/);
      expect(await errorOf(open(etcd.endpoints))).toBeInstanceOf(StoreOpenError);
    });

    test('while etcd is away reads and writes say so, and a watch goes on afterwards without a gap', async () => {
      await using etcd = await startEtcd();
      await using store = await open(etcd.endpoints);
      const first = await put(store, '/a', 'one');
      const seen = follow(store, '/', first);
      const before = await put(store, '/b', 'two');
      await expect.poll(() => seen.events.length).toBe(1);
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        await etcd.stop(0, signal);
        expect(await errorOf(store.get('/a'))).toBeInstanceOf(StoreUnavailableError);
        expect(await errorOf(store.list('/'))).toBeInstanceOf(StoreUnavailableError);
        expect(await errorOf(store.revision())).toBeInstanceOf(StoreUnavailableError);
        expect(await errorOf(put(store, '/c', 'x'))).toBeInstanceOf(StoreUnavailableError);
        await etcd.start();
        await eventually(() => store.revision());
        await etcd.ctl('put', `/by-others-${signal}`, 'three');
      }
      expect((await store.get('/b'))?.modifiedAt).toBe(before);
      const last = await put(store, '/c', 'four');
      await expect.poll(() => seen.keys(), { timeout: 10_000 }).toEqual(['/b', '/by-others-SIGTERM', '/by-others-SIGKILL', '/c']);
      expect(seen.events.at(-1)?.revision).toBe(last);
      seen.stop();
      expect(await seen.ended).toBeUndefined();
    });

    test('a watch whose history was compacted while it was away ends, and another begins', async () => {
      await using etcd = await startEtcd();
      const proxied = await startCut(etcd.endpoints[0] ?? '');
      await using store = await open([proxied.endpoint]);
      const first = await put(store, '/a', 'one');
      const seen = follow(store, '/', first);
      await put(store, '/b', 'seen');
      await expect.poll(() => seen.events.length).toBe(1);
      proxied.cut();
      await etcd.ctl('put', '/a', 'missed');
      const newest = Number(/"revision":(\d+)/.exec(await etcd.ctl('put', '/a', 'missed too', '-w', 'json'))?.[1]);
      await etcd.ctl('compact', String(newest));
      proxied.mend();
      expect(await seen.ended).toBeInstanceOf(CompactedError);
      const next = follow(store, '/', await eventually(() => store.revision()));
      const made = await put(store, '/d', 'later');
      await expect.poll(() => next.events.map(({ revision }) => revision)).toEqual([made]);
      await store.requestProgress();
      next.stop();
      proxied.close();
    });

    test('an etcd that hangs costs a deadline, not forever', async () => {
      await using etcd = await startEtcd();
      await using store = await open(etcd.endpoints, { requestTimeoutMs: 1_000 });
      const made = await put(store, '/a', 'one');
      process.kill(etcd.pid(), 'SIGSTOP');
      try {
        const startedMs = performance.now();
        const stop = new AbortController();
        const givenUp = errorOf(store.append({ kind: 'put', key: '/b', value: Buffer.from('x') }, ABSENT, 'durable', stop.signal));
        const reason = new Error('no longer wanted');
        stop.abort(reason);
        expect(await givenUp).toBe(reason);
        expect(await errorOf(put(store, '/a', 'two', made))).toBeInstanceOf(StoreUnavailableError);
        expect(await errorOf(store.get('/a'))).toBeInstanceOf(StoreUnavailableError);
        expect(performance.now() - startedMs).toBeLessThan(10_000);
      } finally {
        process.kill(etcd.pid(), 'SIGCONT');
      }
      await eventually(() => store.revision());
    });

    test('of three members any one may go: reads, writes and watches go on at another', async () => {
      await using etcd = await startEtcd({}, 3);
      await using store = await open(etcd.endpoints);
      const first = await put(store, '/start', 'x');
      const seen = follow(store, '/', first);
      const written: string[] = [];
      for (const member of [0, 1, 2]) {
        await etcd.stop(member, 'SIGKILL');
        const key = `/without-${member}`;
        // A write that was cut off may have happened; then trying again says so.
        await eventually(async () => {
          if ((await store.get(key)) === undefined) await put(store, key, 'x');
        });
        written.push(key);
        await expect.poll(() => seen.keys(), { timeout: 15_000 }).toEqual(written);
        await etcd.start(member);
      }
      seen.stop();
      expect(await seen.ended).toBeUndefined();
    });

    test('lists larger than any one answer come whole, from one revision', async () => {
      await using etcd = await startEtcd();
      await using store = await open(etcd.endpoints, { requestTimeoutMs: 20_000 });
      const large = new Uint8Array(1 << 20).fill(7);
      for (let at = 0; at < 70; at += 1) await put(store, `/large/${String(at).padStart(3, '0')}`, large);
      for (let at = 0; at < 1_200; at += 1) await put(store, `/small/${String(at).padStart(4, '0')}`, `${at}`);
      const { entries, remaining, revision } = await store.list('/large/');
      expect([entries.length, remaining, revision]).toEqual([70, 0, await store.revision()]);
      expect(entries.every(({ value }) => value.length === large.length)).toBe(true);
      const small = await store.list('/small/');
      expect(small.entries.map(({ value }) => Buffer.from(value).toString())).toEqual(Array.from({ length: 1_200 }, (_, at) => `${at}`));
      const page = await store.list('/small/', { limit: 700, after: '/small/0099' });
      expect([page.entries.length, page.remaining, page.entries[0]?.key]).toEqual([700, 400, '/small/0100']);
    });

    test('what etcd takes no more of has errors of its own, and deleting goes on', async () => {
      await using etcd = await startEtcd({ args: ['--quota-backend-bytes', String(8 << 20)] });
      await using store = await open(etcd.endpoints);
      expect(await errorOf(put(store, '/huge', new Uint8Array(2 << 20)))).toBeInstanceOf(StoreTooLargeError);
      const kept: Revision[] = [];
      let refused: unknown;
      for (let at = 0; at < 40 && refused === undefined; at += 1) {
        const outcome = await errorOf(put(store, `/${at}`, new Uint8Array(1 << 20)).then((revision) => kept.push(revision)));
        if (outcome !== 'no error') refused = outcome;
      }
      expect(refused).toBeInstanceOf(StoreFullError);
      expect(await store.append({ kind: 'delete', key: '/0' }, kept[0] ?? ABSENT, 'durable')).toBeGreaterThan(kept.at(-1) ?? 0);
      expect((await store.get('/1'))?.value.length).toBe(1 << 20);
    });

    test('an etcd that is not there is waited for, and then given up with its address', async () => {
      const refused = await errorOf(open(['http://127.0.0.1:9'], { openTimeoutMs: 600 }));
      expect(refused).toBeInstanceOf(StoreOpenError);
      expect((refused as Error).message).toMatch(/127\.0\.0\.1:9/);
      expect(await errorOf(open(['127.0.0.1:2379']))).toBeInstanceOf(RangeError);
    });
  },
);
