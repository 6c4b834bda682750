import { events } from '@dure/api';
import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventRecorder, type RunningEventRecorder } from './event-recorder.ts';
import { FakeClient } from './testing/fake-client.ts';
import { TransportError } from './transport-error.ts';

const pod = { apiVersion: 'v1', kind: 'Pod', namespace: 'a', name: 'web-0', uid: 'u1' };

describe('event recorder', () => {
  let clock: FakeClock;
  let fake: FakeClient;
  let recorder: RunningEventRecorder;
  let running: Promise<void>;
  const stop = { controller: new AbortController() };

  beforeEach(() => {
    clock = new FakeClock();
    fake = new FakeClient({ clock });
    stop.controller = new AbortController();
    recorder = createEventRecorder({ client: fake, component: 'kubelet', host: 'n1', clock, random: seededRandom(1), log: silentLogger });
    running = recorder.run(stop.controller.signal);
  });

  afterEach(async () => {
    stop.controller.abort();
    await running;
  });

  it('counts a repeated event in place', async () => {
    for (let time = 0; time < 3; time += 1) {
      recorder.record(pod, 'Warning', 'BackOff', 'again');
      await clock.advance(5_000);
    }
    const [event, ...others] = fake.peekAll(events);
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      metadata: { namespace: 'a' },
      involvedObject: pod,
      type: 'Warning',
      reason: 'BackOff',
      message: 'again',
      count: 3,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:10Z',
      source: { component: 'kubelet', host: 'n1' },
    });
  });

  it('files events about cluster-scoped objects in the default namespace', async () => {
    recorder.record({ apiVersion: 'v1', kind: 'Node', name: 'n1' }, 'Normal', 'Starting', 'up');
    await clock.advance(0);
    expect(fake.peekAll(events)[0]?.metadata.namespace).toBe('default');
  });

  it('combines many different messages of one reason', async () => {
    for (let index = 0; index < 14; index += 1) recorder.record(pod, 'Warning', 'Failed', `message ${index}`);
    await clock.advance(0);
    const all = fake.peekAll(events);
    expect(all).toHaveLength(10);
    const combined = all.find(({ message }) => message?.startsWith('(combined from similar events): '));
    expect(combined).toMatchObject({ count: 5, message: '(combined from similar events): message 13' });
  });

  it('lets 25 events through per source and object, then one in five minutes', async () => {
    for (let index = 0; index < 100; index += 1) recorder.record(pod, 'Normal', 'Pulled', 'same');
    recorder.record({ ...pod, name: 'other', uid: 'u2' }, 'Normal', 'Pulled', 'same');
    await clock.advance(0);
    expect(fake.peekAll(events).map(({ count }) => count)).toEqual([25, 1]);
    await clock.advance(300_000);
    for (let index = 0; index < 5; index += 1) recorder.record(pod, 'Normal', 'Pulled', 'same');
    await clock.advance(0);
    expect(fake.peekAll(events)[0]?.count).toBe(26);
  });

  it('makes an event anew that expired meanwhile', async () => {
    recorder.record(pod, 'Normal', 'Pulled', 'same');
    await clock.advance(0);
    const [event] = fake.peekAll(events);
    fake.drop(events, `a/${event?.metadata.name}`);
    recorder.record(pod, 'Normal', 'Pulled', 'same');
    await clock.advance(0);
    expect(fake.peekAll(events)).toHaveLength(1);
  });

  it('never blocks, and bounds what waits while the server is away', async () => {
    const back = fake.hook(() => {
      throw new TransportError({ method: 'POST', path: '/' }, 'refused', { mayHaveArrived: false });
    });
    for (let index = 0; index < 5_000; index += 1)
      recorder.record({ ...pod, uid: `u${index}`, name: `p${index}` }, 'Normal', 'Pulled', 'x');
    await clock.advance(0);
    expect(fake.peekAll(events)).toHaveLength(0);
    back();
    await clock.advance(30_000);
    expect(fake.peekAll(events).length).toBeLessThanOrEqual(1_001);
    expect(fake.peekAll(events).length).toBeGreaterThan(900);
  });
});
