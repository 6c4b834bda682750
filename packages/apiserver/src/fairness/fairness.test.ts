import type { FlowSchema, PriorityLevelConfiguration, PriorityLevelConfigurationSpec } from '@dure/api';
import { FakeClock } from '@dure/foundation/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import type { UserInfo } from '../contract/user.ts';
import { parseRequestInfo } from '../request/request-info.ts';
import { Fairness, type Leave } from './fairness.ts';

const QUEUE_WAIT_MS = 15_000;
const PATH = '/api/v1/namespaces/default/configmaps/one';

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

const metadata = (name: string) => ({ name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '' });

function level(name: string, spec: PriorityLevelConfigurationSpec): PriorityLevelConfiguration {
  return { kind: 'PriorityLevelConfiguration', apiVersion: 'flowcontrol.apiserver.k8s.io/v1', metadata: metadata(name), spec, status: {} };
}

type Limited = NonNullable<PriorityLevelConfigurationSpec['limited']>;

const queuing = (name: string, shares: number, more: Partial<Limited> = {}, queues: object = {}): PriorityLevelConfiguration =>
  level(name, {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 8, queueLengthLimit: 50, ...queues } },
      ...more,
    },
  });

/** Everything of the users whose group has the level's name. */
function schema(levelName: string, distinguisher?: string): FlowSchema {
  return {
    kind: 'FlowSchema',
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    metadata: metadata(`to-${levelName}`),
    spec: {
      priorityLevelConfiguration: { name: levelName },
      ...(distinguisher === undefined ? {} : { distinguisherMethod: { type: distinguisher } }),
      rules: [
        {
          subjects: [{ kind: 'Group', group: { name: levelName } }],
          resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
        },
      ],
    },
    status: {},
  };
}

/** `seats` are what the named levels have together: the mandatory ones get no share. */
function fairnessOf(seats: number, levels: readonly PriorityLevelConfiguration[], schemas: readonly FlowSchema[], objects = 0): Fairness {
  const fairness = new Fairness({ seats, queueWaitMs: QUEUE_WAIT_MS, clock, objectCount: () => objects });
  const catchAll = level('catch-all', { type: 'Limited', limited: { nominalConcurrencyShares: 0, limitResponse: { type: 'Reject' } } });
  fairness.configure(schemas, [catchAll, ...levels]);
  return fairness;
}

/** Requests of one test, with those that were let in by now. */
class Requests {
  readonly #fairness: Fairness;
  readonly entered: { readonly user: string; readonly leave: Leave }[] = [];
  readonly refused: { readonly user: string; readonly error: unknown }[] = [];

  constructor(fairness: Fairness) {
    this.#fairness = fairness;
  }

  /** `user` is `name` or `name@group`. */
  async send(user: string, target = PATH, signal = new AbortController().signal): Promise<void> {
    const [path = '', query = ''] = target.split('?');
    const [, group = user] = user.split('@');
    const who: UserInfo = { name: user, groups: [group, 'system:authenticated'] };
    const info = parseRequestInfo('GET', path, new URLSearchParams(query));
    try {
      const entering = this.#fairness.enter(this.#fairness.classify(who, info), info, new URLSearchParams(query), signal);
      if (entering instanceof Promise) {
        void entering.then(
          (leave) => this.entered.push({ user, leave }),
          (error: unknown) => this.refused.push({ user, error }),
        );
      } else this.entered.push({ user, leave: entering });
    } catch (error) {
      this.refused.push({ user, error });
    }
    await clock.advance(0);
  }

  /** The one that was let in first of those that run ends. @returns Whose it was. */
  async endOne(): Promise<string> {
    const first = this.entered.shift();
    first?.leave();
    await clock.advance(0);
    return first?.user ?? '';
  }

  count(group: string): number {
    return this.entered.filter(({ user }) => user.endsWith(group)).length;
  }
}

describe('a level that rejects', () => {
  it('refuses what is beyond its seats with 429 and Retry-After, and lets others in again after', async () => {
    const reject = level('low', { type: 'Limited', limited: { nominalConcurrencyShares: 1, limitResponse: { type: 'Reject' } } });
    const requests = new Requests(fairnessOf(2, [reject], [schema('low')]));
    for (let index = 0; index < 3; index += 1) await requests.send('low');
    expect(requests.entered).toHaveLength(2);
    expect(requests.refused).toMatchObject([
      { error: { status: { code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 1 } } } },
    ]);
    await requests.endOne();
    await requests.send('low');
    expect(requests.entered).toHaveLength(2);
  });
});

describe('a level that queues', () => {
  it('lets in what waits as seats come free, in order', async () => {
    const requests = new Requests(fairnessOf(1, [queuing('low', 1, {}, { queues: 1, handSize: 1 })], [schema('low')]));
    for (const user of ['1@low', '2@low', '3@low']) await requests.send(user);
    expect(await requests.endOne()).toBe('1@low');
    expect(await requests.endOne()).toBe('2@low');
    expect(await requests.endOne()).toBe('3@low');
    expect(requests.refused).toEqual([]);
  });

  it('serves a quiet user between the many requests of a loud one', async () => {
    const requests = new Requests(fairnessOf(1, [queuing('low', 1)], [schema('low', 'ByUser')]));
    for (let index = 0; index < 30; index += 1) await requests.send('loud@low');
    for (let index = 0; index < 3; index += 1) await requests.send('quiet@low');
    const order: string[] = [];
    for (let index = 0; index < 12; index += 1) {
      await clock.advance(10);
      order.push(await requests.endOne());
    }
    expect(order.filter((user) => user === 'quiet@low')).toHaveLength(3);
  });

  it('takes all for one flow where the schema does not tell them apart', async () => {
    const requests = new Requests(fairnessOf(1, [queuing('low', 1, {}, { queues: 1, handSize: 1 })], [schema('low')]));
    for (let index = 0; index < 10; index += 1) await requests.send('loud@low');
    await requests.send('quiet@low');
    const order: string[] = [];
    for (let index = 0; index < 11; index += 1) order.push(await requests.endOne());
    expect(order.at(-1)).toBe('quiet@low');
  });

  it('refuses what does not fit into its queues', async () => {
    const fairness = fairnessOf(1, [queuing('low', 1, {}, { queues: 1, handSize: 1, queueLengthLimit: 2 })], [schema('low')]);
    const requests = new Requests(fairness);
    for (let index = 0; index < 4; index += 1) await requests.send('low');
    expect(requests.refused).toHaveLength(1);
    expect(fairness.metrics.render(fairness.pool)).toContain(
      'apiserver_flowcontrol_rejected_requests_total{priority_level="low",flow_schema="to-low",reason="queue-full"} 1',
    );
  });

  it('refuses what waited too long, and forgets whose client went', async () => {
    const fairness = fairnessOf(1, [queuing('low', 1)], [schema('low')]);
    const requests = new Requests(fairness);
    const gone = new AbortController();
    await requests.send('runs@low');
    await requests.send('goes@low', PATH, gone.signal);
    await requests.send('waits@low');
    gone.abort(new Error('client went away'));
    await clock.advance(QUEUE_WAIT_MS - 1);
    expect(requests.refused.map(({ user, error }) => [user, (error as Error).message])).toEqual([['goes@low', 'client went away']]);
    await clock.advance(1);
    expect(requests.refused[1]).toMatchObject({ user: 'waits@low', error: { status: { code: 429 } } });
    expect(clock.sleeping).toBe(0);
    await requests.endOne();
    expect(requests.entered).toEqual([]);
    expect([...fairness.pool.levels].reduce((total, { seatsInUse }) => total + seatsInUse, 0)).toBe(0);
  });

  it('gives a seat back once, however often it is left', async () => {
    const requests = new Requests(fairnessOf(1, [queuing('low', 1)], [schema('low')]));
    for (let index = 0; index < 3; index += 1) await requests.send('low');
    const first = requests.entered[0];
    first?.leave();
    first?.leave();
    await clock.advance(0);
    expect(requests.entered).toHaveLength(2);
  });
});

describe('exempt requests', () => {
  it('are never held back, and take no seats of others', async () => {
    const requests = new Requests(fairnessOf(2, [queuing('low', 1)], [schema('low')]));
    for (let index = 0; index < 50; index += 1) await requests.send('admin@system:masters');
    for (let index = 0; index < 3; index += 1) await requests.send('low');
    expect(requests.count('system:masters')).toBe(50);
    expect(requests.count('low')).toBe(2);
  });
});

describe('borrowing', () => {
  it('uses seats that others lend while they are idle, and no more', async () => {
    const levels = [queuing('a', 1), queuing('b', 1, { lendablePercent: 50 })];
    const requests = new Requests(fairnessOf(8, levels, [schema('a'), schema('b')]));
    for (let index = 0; index < 20; index += 1) await requests.send('a');
    expect(requests.count('a')).toBe(6);
    for (let index = 0; index < 4; index += 1) await requests.send('b');
    expect(requests.count('b')).toBe(2);
    expect(requests.entered).toHaveLength(8);
  });

  it('gives what was lent back to its owner as soon as it is free', async () => {
    const levels = [queuing('a', 1), queuing('b', 1, { lendablePercent: 50 })];
    const requests = new Requests(fairnessOf(8, levels, [schema('a'), schema('b')]));
    for (let index = 0; index < 20; index += 1) await requests.send('a');
    for (let index = 0; index < 4; index += 1) await requests.send('b');
    await requests.endOne();
    await requests.endOne();
    expect([requests.count('a'), requests.count('b')]).toEqual([4, 4]);
  });

  it('stays within the limit of the borrower', async () => {
    const levels = [queuing('a', 1, { borrowingLimitPercent: 25 }), queuing('b', 1, { lendablePercent: 100 })];
    const requests = new Requests(fairnessOf(8, levels, [schema('a'), schema('b')]));
    for (let index = 0; index < 20; index += 1) await requests.send('a');
    expect(requests.count('a')).toBe(5);
  });
});

describe('width', () => {
  it('of a list is by the objects that are there, bounded by a part of its level', async () => {
    const fairness = fairnessOf(40, [queuing('low', 1)], [schema('low')], 450);
    const requests = new Requests(fairness);
    const seats = (): number | undefined => fairness.pool.level('low')?.seatsInUse;
    await requests.send('low', '/api/v1/pods');
    expect(seats()).toBe(5);
    await requests.send('low', '/api/v1/pods?limit=150');
    expect(seats()).toBe(5 + 2);
    await requests.send('low', '/api/v1/pods?limit=150&labelSelector=a%3Db');
    expect(seats()).toBe(7 + 5);
    await requests.send('low', '/api/v1/pods?watch=1&sendInitialEvents=true');
    expect(seats()).toBe(12 + 5);
    await requests.send('low', '/api/v1/pods?watch=1&resourceVersion=5');
    await requests.send('low', '/api/v1/pods?fieldSelector=metadata.name%3Da');
    expect(seats()).toBe(17 + 2);
    const narrow = fairnessOf(10, [queuing('low', 1)], [schema('low')], 450);
    await new Requests(narrow).send('low', '/api/v1/pods');
    expect(narrow.pool.level('low')?.seatsInUse).toBe(2);
  });
});

describe('configuration', () => {
  it('without anything stored gives every seat to the catch-all level', async () => {
    const requests = new Requests(new Fairness({ seats: 3, queueWaitMs: QUEUE_WAIT_MS, clock, objectCount: () => 0 }));
    for (let index = 0; index < 4; index += 1) await requests.send('anybody');
    await requests.send('admin@system:masters');
    expect(requests.entered.map(({ user }) => user)).toEqual(['anybody', 'anybody', 'anybody', 'admin@system:masters']);
    expect(requests.refused).toHaveLength(1);
  });

  it('ignores schemas whose level is not there', async () => {
    const fairness = fairnessOf(4, [queuing('low', 1)], [schema('nowhere'), schema('low')]);
    const info = parseRequestInfo('GET', PATH, new URLSearchParams());
    const flow = fairness.classify({ name: 'x', groups: ['nowhere', 'low'] }, info);
    expect(flow.schema.metadata.name).toBe('to-low');
  });

  it('takes effect on what waits already', async () => {
    const fairness = fairnessOf(4, [queuing('low', 1), queuing('idle', 3)], [schema('low')]);
    const requests = new Requests(fairness);
    for (let index = 0; index < 4; index += 1) await requests.send('low');
    expect(requests.entered).toHaveLength(1);
    fairness.configure([schema('low')], [queuing('low', 3), queuing('idle', 0)]);
    await clock.advance(0);
    expect(requests.entered.length).toBeGreaterThanOrEqual(2);
  });

  it('serves what waits at a level that is removed, and lets the level go then', async () => {
    const fairness = fairnessOf(1, [queuing('low', 1)], [schema('low')]);
    const requests = new Requests(fairness);
    for (let index = 0; index < 3; index += 1) await requests.send('low');
    fairness.configure([], []);
    expect(fairness.pool.level('low')?.isRetiring).toBe(true);
    for (let index = 0; index < 3; index += 1) await requests.endOne();
    expect(requests.refused).toEqual([]);
    expect(fairness.pool.level('low')).toBeUndefined();
  });
});
