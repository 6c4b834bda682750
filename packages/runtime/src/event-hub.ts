import { BoundedQueue, QueueFullError } from '@dure/foundation';
import type { ContainerEvent } from './contract.ts';

/** A subscriber that leaves so many events unread is ended; it lists anew. */
const SUBSCRIBER_EVENTS_MAX = 10_000;

/** Gives each event to every subscriber. Nobody is waited for. */
export class EventHub {
  readonly #queues = new Set<BoundedQueue<ContainerEvent>>();

  emit(event: ContainerEvent): void {
    for (const queue of this.#queues) {
      try {
        queue.push(event);
      } catch (error) {
        if (!(error instanceof QueueFullError)) throw error;
        queue.destroy(error);
        this.#queues.delete(queue);
      }
    }
  }

  /** From now on, not from the first `next()`: what happens in between is kept. */
  subscribe(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    const queue = new BoundedQueue<ContainerEvent>(SUBSCRIBER_EVENTS_MAX);
    const end = (): void => {
      this.#queues.delete(queue);
      queue.close();
    };
    this.#queues.add(queue);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    return queue;
  }

  close(): void {
    for (const queue of this.#queues) queue.close();
    this.#queues.clear();
  }
}
