/** What waits in a queue, or runs and belongs to one. */
export interface QueuedWork {
  /** Its width while it runs. */
  readonly seats: number;
}

export interface QueueShape {
  readonly queues: number;
  /** How long one queue may be. */
  readonly lengthLimit: number;
}

/** One queue's place for a request that was taken from it. */
export interface QueuePlace {
  readonly queue: number;
}

interface Queue<T> {
  readonly waiting: T[];
  running: number;
  seatsInUse: number;
  /** Seat-milliseconds: the virtual time at which all that this queue has been given ends. */
  virtualEnd: number;
}

/** What a request is thought to take before it is known; its end corrects it. Upstream's figure. */
const SERVICE_ESTIMATE_MS = 3;

/**
 * The queues of one priority level, served fairly: start-time fair queuing. Virtual time counts seat-milliseconds that a queue was given; the queue that was given
 * least goes first, whatever stands in the others. A queue that had nothing to do begins at the present, so that idleness earns no credit.
 * No clock and no promises: whoever uses it says when. @see Goyal, Vin and Cheng, "Start-time Fair Queuing" (1996)
 */
export class FairQueues<T extends QueuedWork> {
  #shape: QueueShape;
  readonly #queues: Queue<T>[] = [];
  #waiting = 0;
  /** Where the request that was taken last began. */
  #virtualNow = 0;
  /** The queue it came from; of equals the next one after it goes first. */
  #last = 0;

  constructor(shape: QueueShape) {
    this.#shape = shape;
    this.reshape(shape);
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Queues to choose from; more may be there while they empty. */
  get size(): number {
    return this.#shape.queues;
  }

  /** Takes effect at once; what waits in queues that are no more is served as it was. */
  reshape(shape: QueueShape): void {
    this.#shape = shape;
    while (this.#queues.length < shape.queues) this.#queues.push({ waiting: [], running: 0, seatsInUse: 0, virtualEnd: 0 });
    this.#trim();
  }

  /** The queue of `hand` that has least to do, or `undefined` where that one is full. */
  place(hand: readonly number[]): QueuePlace | undefined {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const index of hand) {
      const queue = this.#queues[index];
      if (queue === undefined) continue;
      let seats = queue.seatsInUse;
      for (const work of queue.waiting) seats += work.seats;
      if (seats < least) {
        least = seats;
        best = index;
      }
    }
    const queue = this.#queues[best];
    return queue === undefined || queue.waiting.length >= this.#shape.lengthLimit ? undefined : { queue: best };
  }

  add(work: T, { queue: index }: QueuePlace): void {
    const queue = this.#queue(index);
    this.#catchUp(queue);
    queue.waiting.push(work);
    this.#waiting += 1;
  }

  /** Takes back what waits. @returns False: it does not wait here. */
  remove(work: T, { queue: index }: QueuePlace): boolean {
    const removed = this.#take(this.#queue(index), work);
    this.#trim();
    return removed;
  }

  /** The request whose turn it is, which stays where it is; `undefined` if none waits. */
  next(): { readonly work: T; readonly place: QueuePlace } | undefined {
    if (this.#waiting === 0) return undefined;
    let best = -1;
    let earliest = Number.POSITIVE_INFINITY;
    for (let step = 1; step <= this.#queues.length; step += 1) {
      const index = (this.#last + step) % this.#queues.length;
      const queue = this.#queues[index];
      if (queue === undefined || queue.waiting.length === 0 || queue.virtualEnd >= earliest) continue;
      earliest = queue.virtualEnd;
      best = index;
    }
    const work = this.#queues[best]?.waiting[0];
    return work === undefined ? undefined : { work, place: { queue: best } };
  }

  /** `work` begins to run; it counts for the queue at `place`, whether it waited there or not. */
  begin(work: T, place: QueuePlace): void {
    const queue = this.#queue(place.queue);
    this.#take(queue, work);
    this.#catchUp(queue);
    this.#virtualNow = queue.virtualEnd;
    this.#last = place.queue;
    queue.virtualEnd += work.seats * SERVICE_ESTIMATE_MS;
    queue.running += 1;
    queue.seatsInUse += work.seats;
  }

  /** `work` ended after `elapsedMs`, which its queue is charged for instead of the estimate. */
  end(work: T, { queue: index }: QueuePlace, elapsedMs: number): void {
    const queue = this.#queue(index);
    queue.running -= 1;
    queue.seatsInUse -= work.seats;
    queue.virtualEnd += work.seats * (elapsedMs - SERVICE_ESTIMATE_MS);
    this.#trim();
  }

  /** For those who look at it. */
  dump(): readonly {
    readonly waiting: readonly T[];
    readonly running: number;
    readonly seatsInUse: number;
    readonly virtualEnd: number;
  }[] {
    return this.#queues;
  }

  #take({ waiting }: Queue<T>, work: T): boolean {
    const at = waiting.indexOf(work);
    if (at < 0) return false;
    waiting.splice(at, 1);
    this.#waiting -= 1;
    return true;
  }

  #catchUp(queue: Queue<T>): void {
    if (queue.running === 0 && queue.waiting.length === 0) queue.virtualEnd = Math.max(queue.virtualEnd, this.#virtualNow);
  }

  #queue(index: number): Queue<T> {
    const queue = this.#queues[index];
    if (queue === undefined) throw new RangeError(`fair queues: there is no queue ${index}`);
    return queue;
  }

  /** Lets queues beyond the shape go once they are empty; those before them keep their places. */
  #trim(): void {
    while (this.#queues.length > this.#shape.queues) {
      const last = this.#queues.at(-1);
      if (last === undefined || last.running > 0 || last.waiting.length > 0) return;
      this.#queues.pop();
    }
  }
}
