import type { WatchEvent, WatchResponse } from './etcd-messages.ts';

/**
 * Puts a watch's events together by revision. etcd may split an answer anywhere, also between events of one revision; those of one revision are let
 * through together, so that a watch that breaks between them can go on from the revision before without telling anything twice.
 */
export class EventAssembly {
  #held: WatchEvent[] = [];
  readonly #take: (revision: number, events: readonly WatchEvent[]) => void;

  /** @param take Gets each revision once, in order, with all its events. */
  constructor(take: (revision: number, events: readonly WatchEvent[]) => void) {
    this.#take = take;
  }

  add({ events, fragment }: Pick<WatchResponse, 'events' | 'fragment'>): void {
    for (const event of events) {
      if (this.#held[0] !== undefined && this.#held[0].kv.modRevision !== event.kv.modRevision) this.#release();
      this.#held.push(event);
    }
    if (!fragment) this.#release();
  }

  #release(): void {
    const [first] = this.#held;
    if (first === undefined) return;
    const events = this.#held;
    this.#held = [];
    this.#take(first.kv.modRevision, events);
  }
}
