import { setMaxListeners } from 'node:events';
import type { KubeObject } from '@dure/api';
import { createInformerFactory, type InformerFactory } from '@dure/client';
import { FakeClient } from '@dure/client/testing';
import { type Logger, seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import type { ControllerFactory } from '../controller.ts';
import { runControllers } from '../controllers.ts';

/** Some controllers over a fake API server, and time in the test's hand. */
export interface ControllerBench extends AsyncDisposable {
  readonly client: FakeClient;
  readonly clock: FakeClock;
  readonly informers: InformerFactory;
  /** Events as `NAME REASON MESSAGE`. */
  readonly told: readonly string[];
  /** What was logged as warning or error. */
  readonly complaints: readonly string[];
  /** Starts the controllers, and lets them look at everything once. */
  start(...others: readonly ((signal: AbortSignal) => Promise<void>)[]): Promise<void>;
  /** Lets everything that is under way come to rest. No time passes. */
  settle(): Promise<void>;
}

export function controllerBench(factories: Readonly<Record<string, ControllerFactory>>, seed = 1): ControllerBench {
  const clock = new FakeClock();
  const client = new FakeClient({ clock, random: seededRandom(seed) });
  const random = seededRandom(seed + 1);
  const told: string[] = [];
  const complaints: string[] = [];
  const complain = (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
    void complaints.push(`${message} ${String(fields.error ?? '')}`);
  const log: Logger = { ...silentLogger, warn: complain, error: complain, child: () => log };
  const informers = createInformerFactory({ client, clock, random, log });
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // One for each informer and worker.
  let running: Promise<unknown> = Promise.resolve();
  const events = () => ({
    record: ({ name }: { readonly name?: string }, _type: string, reason: string, message: string) =>
      void told.push(`${name} ${reason} ${message}`),
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await clock.advance(0);
  };
  return {
    client,
    clock,
    informers,
    told,
    complaints,
    settle,
    async start(...others) {
      const controllers = runControllers(
        { client, informers, clock, random, log, events, factories: new Map(Object.entries(factories)) },
        stop.signal,
      );
      running = Promise.all([controllers, informers.run(stop.signal), ...others.map((other) => other(stop.signal))]);
      await settle();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Names of `objects`, sorted. */
export function namesOf(objects: readonly KubeObject[]): readonly string[] {
  return objects.map(({ metadata }) => metadata.name).sort();
}
