import { gone, StatusError } from '@dure/api';
import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createInformer, type Informer, withoutManagedFields } from './informer.ts';
import { FakeClient } from './testing/fake-client.ts';
import { type Thing, things } from './testing/things.ts';
import { TransportError } from './transport-error.ts';

const thing = (name: string, size: number) => ({ metadata: { namespace: 'a', name }, spec: { size } });

describe('informer over a reflector', () => {
  let clock: FakeClock;
  let fake: FakeClient;
  let stop: AbortController;
  let running: Promise<void> | undefined;

  beforeEach(() => {
    clock = new FakeClock();
    fake = new FakeClient({ clock });
    stop = new AbortController();
    running = undefined;
  });

  afterEach(async () => {
    stop.abort();
    await running;
  });

  function start(options: { pageSize?: number; watchList?: boolean; labelSelector?: string } = {}): Informer<Thing> {
    const informer = createInformer<Thing>({ client: fake, ref: things, clock, random: seededRandom(1), log: silentLogger, ...options });
    running = informer.run(stop.signal);
    return informer;
  }

  it.each([
    ['in one answer', { pageSize: 0 }],
    ['in pages', { pageSize: 2 }],
    ['through the watch', { watchList: true }],
  ])('gets the first state %s and then follows changes', async (_how, options) => {
    for (let index = 0; index < 5; index += 1) fake.put<Thing>(things, thing(`t${index}`, index));
    const informer = start(options);
    const told: string[] = [];
    informer.addHandler({
      add: ({ metadata }) => void told.push(`add ${metadata.name}`),
      update: (object, old) => void told.push(`update ${object.metadata.name} ${old.spec?.size}->${object.spec?.size}`),
      delete: ({ metadata }) => void told.push(`delete ${metadata.name}`),
    });
    await informer.whenSynced(stop.signal);
    expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(['t0', 't1', 't2', 't3', 't4']);

    await fake.create<Thing>(things, thing('new', 7));
    await fake.update<Thing>(things, { ...(fake.peek(things, 'a/t1') as Thing), spec: { size: 11 } });
    await fake.delete(things, { namespace: 'a', name: 't0' });
    await clock.advance(0);
    expect(told.slice(5)).toEqual(['add new', 'update t1 1->11', 'delete t0']);
    expect(informer.get('a/t1')?.spec?.size).toBe(11);
    expect(informer.get('a/t0')).toBeUndefined();
    expect(informer.list('b')).toEqual([]);
    expect(informer.list('a')).toHaveLength(5);
  });

  it('tells a late handler of everything that is there', async () => {
    fake.put<Thing>(things, thing('x', 1));
    const informer = start();
    await informer.whenSynced(stop.signal);
    const told: string[] = [];
    informer.addHandler({ add: ({ metadata }) => void told.push(metadata.name) });
    expect(told).toEqual(['x']);
  });

  it('lists anew after 410 and tells the difference, a remade object as deleted and added', async () => {
    fake.put<Thing>(things, thing('kept', 1));
    fake.put<Thing>(things, thing('gone', 1));
    fake.put<Thing>(things, thing('remade', 1));
    let broken = false;
    fake.hook(({ verb }) => {
      if (broken && verb === 'watch') throw gone('too old resource version');
    });
    const informer = start();
    await informer.whenSynced(stop.signal);
    const told: string[] = [];
    informer.addHandler({
      add: ({ metadata }) => void told.push(`add ${metadata.name}`),
      update: ({ metadata }) => void told.push(`update ${metadata.name}`),
      delete: ({ metadata }) => void told.push(`delete ${metadata.name}`),
    });
    told.length = 0;
    // The watch has ended, history moves on and is forgotten: exactly what a long pause looks like.
    fake.watchDelay = () => Promise.reject(new TransportError({ method: 'GET', path: '/' }, 'broken', { mayHaveArrived: true }));
    fake.drop(things, 'a/gone');
    await clock.advance(0);
    fake.drop(things, 'a/remade');
    fake.put<Thing>(things, thing('remade', 2));
    fake.put<Thing>(things, thing('new', 2));
    fake.compact();
    fake.watchDelay = undefined;
    broken = true;
    await clock.advance(10_000);
    broken = false;
    await clock.advance(60_000);
    expect(told.sort()).toEqual(['add new', 'add remade', 'delete gone', 'delete remade']);
  });

  it('goes on from the last revision after a broken watch, without listing', async () => {
    const informer = start();
    await informer.whenSynced(stop.signal);
    fake.watchDelay = () => Promise.reject(new TransportError({ method: 'GET', path: '/' }, 'reset', { mayHaveArrived: true }));
    fake.put<Thing>(things, thing('during', 1));
    await clock.advance(0);
    fake.watchDelay = undefined;
    expect(informer.get('a/during')).toBeUndefined();
    await clock.advance(5_000);
    expect(informer.get('a/during')).toBeDefined();
    expect(fake.calls.filter(({ verb }) => verb === 'list')).toHaveLength(1);
  });

  it('backs off while the server refuses, and honours Retry-After', async () => {
    const refused = new StatusError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      reason: 'TooManyRequests',
      code: 429,
      details: { retryAfterSeconds: 20 },
    });
    const remove = fake.hook(({ verb }) => {
      if (verb === 'list') throw refused;
    });
    const informer = start();
    await clock.advance(19_000);
    expect(fake.calls).toHaveLength(1);
    remove();
    await clock.advance(25_000);
    expect(informer.hasSynced).toBe(true);
  });

  it('does not ask in a busy loop when the server ends every watch at once', async () => {
    const ending = Object.assign(Object.create(fake) as FakeClient, {
      list: fake.list.bind(fake),
      // biome-ignore lint/correctness/useYield: an empty watch is the point
      watch: async function* () {
        fake.calls.push({ verb: 'watch', ref: things });
      },
    });
    const informer = createInformer<Thing>({ client: ending, ref: things, clock, random: seededRandom(1), log: silentLogger });
    running = informer.run(stop.signal);
    await clock.advance(30_000);
    expect(fake.calls.filter(({ verb }) => verb === 'watch').length).toBeLessThan(8);
  });

  it('sees an object that no longer matches its selector as deleted', async () => {
    fake.put<Thing>(things, { metadata: { namespace: 'a', name: 'x', labels: { on: 'yes' } } });
    const informer = start({ labelSelector: 'on=yes' });
    await informer.whenSynced(stop.signal);
    expect(informer.size).toBe(1);
    await fake.patch(things, { namespace: 'a', name: 'x' }, { kind: 'merge', patch: { metadata: { labels: { on: 'no' } } } });
    await clock.advance(0);
    expect(informer.size).toBe(0);
  });

  it('keeps indexes and owners right through changes', async () => {
    const informer = start();
    const bySize = ({ spec }: Thing): string[] => (spec?.size === undefined ? [] : [String(spec.size)]);
    informer.addIndex('size', bySize);
    informer.addIndex('size', bySize);
    expect(() => informer.addIndex('size', () => [])).toThrow(RangeError);
    const owned = (uid: string) => [{ apiVersion: 'v1', kind: 'X', name: 'x', uid }];
    fake.put<Thing>(things, { metadata: { namespace: 'a', name: 'x', ownerReferences: owned('u1') }, spec: { size: 1 } });
    await clock.advance(0);
    expect(informer.byIndex('size', '1')).toHaveLength(1);
    expect(informer.ownedBy('u1')).toHaveLength(1);
    await fake.patch(
      things,
      { namespace: 'a', name: 'x' },
      { kind: 'merge', patch: { metadata: { ownerReferences: owned('u2') }, spec: { size: 2 } } },
    );
    await clock.advance(0);
    expect(informer.byIndex('size', '1')).toEqual([]);
    expect(informer.byIndex('size', '2')).toHaveLength(1);
    expect(informer.ownedBy('u1')).toEqual([]);
    expect(informer.ownedBy('u2')).toHaveLength(1);
    expect(() => informer.byIndex('colour', 'x')).toThrow(RangeError);
  });

  it('goes on when a handler throws', async () => {
    const informer = start();
    informer.addHandler({
      add: () => {
        throw new Error('mine');
      },
    });
    const told: string[] = [];
    informer.addHandler({ add: ({ metadata }) => void told.push(metadata.name) });
    fake.put<Thing>(things, thing('x', 1));
    await clock.advance(0);
    expect(told).toEqual(['x']);
  });
});

it('withoutManagedFields drops them and nothing else', () => {
  const metadata = { name: 'x', uid: 'u', resourceVersion: '1', creationTimestamp: '' };
  expect(withoutManagedFields({ apiVersion: 'v1', kind: 'T', metadata: { ...metadata, managedFields: [{ manager: 'm' }] } })).toEqual({
    apiVersion: 'v1',
    kind: 'T',
    metadata,
  });
});
