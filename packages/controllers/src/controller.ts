import type { KubeObject } from '@dure/api';
import type { Client, EventRecorder, Informer, InformerFactory } from '@dure/client';
import type { Clock, Logger, Random } from '@dure/foundation';
import { type Reconciler, runReconciler, type WorkQueue } from '@dure/reconcile';

/** What every controller gets; nothing else reaches it. */
export interface ControllerContext {
  readonly client: Client;
  readonly informers: InformerFactory;
  /** A recorder that reports as `component`. */
  events(component: string): EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Makes one part of the cluster what it should be. Level-based, idempotent, and safe to run twice at once. */
export interface Controller {
  readonly name: string;
  /** Works until `signal` aborts and what it started has ended. @throws if it cannot go on. */
  run(signal: AbortSignal): Promise<void>;
}

/** Attaches handlers to informers; the work begins with `run`. */
export type ControllerFactory = (context: ControllerContext) => Controller;

export interface ReconcilingController {
  readonly name: string;
  readonly context: ControllerContext;
  readonly queue: WorkQueue;
  readonly reconciler: Reconciler;
  /** Caches that must hold their first full state before any plan is made: half a state is a wrong one. */
  readonly caches: readonly Pick<Informer<KubeObject>, 'whenSynced'>[];
  /** Default: 4. */
  readonly workers?: number;
}

/** The usual controller: wait for the caches, then reconcile what the queue holds. */
export function reconcilingController({ name, context, queue, reconciler, caches, workers = 4 }: ReconcilingController): Controller {
  const { clock, log } = context;
  return {
    name,
    async run(signal) {
      try {
        await Promise.all(caches.map((cache) => cache.whenSynced(signal)));
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      await runReconciler({ name, reconciler, queue, workers, clock, log }, signal);
    },
  };
}
