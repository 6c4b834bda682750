import type { PriorityLevelConfiguration } from '@dure/api';
import { FairQueues, type QueuePlace } from './fair-queues.ts';
import type { SeatLimits, SeatShares } from './seat-limits.ts';
import { dealHand, flowHash } from './shuffle-shard.ts';

/** How a level treats what does not fit. */
export type LevelShape =
  | { readonly kind: 'exempt' }
  | { readonly kind: 'reject' }
  | { readonly kind: 'queue'; readonly queues: number; readonly handSize: number; readonly lengthLimit: number };

/** A PriorityLevelConfiguration in the words of this folder. */
export interface LevelSpec {
  readonly name: string;
  readonly uid: string;
  readonly shape: LevelShape;
  readonly shares: SeatShares;
}

/** A request as the levels see it. */
export interface LevelRequest {
  readonly schema: string;
  readonly distinguisher: string;
  readonly seats: number;
  /** Monotonic time of its arrival. */
  readonly arrivedMs: number;
  /** It waited and may run now. */
  start(): void;
}

const SHARES_DEFAULT = 30;
const QUEUING_DEFAULTS = { queues: 64, handSize: 8, queueLengthLimit: 50 };
const NO_SEATS: SeatLimits = { nominal: 0, reserved: 0, most: 0 };
/** Hands that a level remembers: dealing one costs a hash. */
const HANDS_MAX = 1024;

export function levelSpec({ metadata, spec }: PriorityLevelConfiguration): LevelSpec {
  // What is in force without being stored has no UID.
  const { name, uid = '' } = metadata;
  if (spec.type === 'Exempt') {
    const { nominalConcurrencyShares: shares = 0, lendablePercent = 0 } = spec.exempt ?? {};
    return { name, uid, shape: { kind: 'exempt' }, shares: { shares, lendablePercent, borrowingLimitPercent: undefined } };
  }
  const {
    nominalConcurrencyShares: shares = SHARES_DEFAULT,
    lendablePercent = 0,
    borrowingLimitPercent,
    limitResponse,
  } = spec.limited ?? {};
  return { name, uid, shape: shapeOf(limitResponse), shares: { shares, lendablePercent, borrowingLimitPercent } };
}

function shapeOf(response: NonNullable<PriorityLevelConfiguration['spec']['limited']>['limitResponse']): LevelShape {
  if (response?.type !== 'Queue') return { kind: 'reject' };
  const { queues, handSize, queueLengthLimit: lengthLimit } = { ...QUEUING_DEFAULTS, ...response.queuing };
  return { kind: 'queue', queues, handSize: Math.min(handSize, queues), lengthLimit };
}

/** One priority level: what runs, what waits, and how much may. */
export class PriorityLevel {
  readonly name: string;
  limits: SeatLimits = NO_SEATS;
  seatsInUse = 0;
  running = 0;
  /** It is configured no more, and ends once it is empty. */
  isRetiring = false;
  #spec: LevelSpec;
  #queues: FairQueues<LevelRequest> | undefined;
  readonly #hands = new Map<string, readonly number[]>();

  constructor(spec: LevelSpec) {
    this.name = spec.name;
    this.#spec = spec;
    this.configure(spec);
  }

  get spec(): LevelSpec {
    return this.#spec;
  }

  get isExempt(): boolean {
    return this.#spec.shape.kind === 'exempt';
  }

  get waiting(): number {
    return this.#queues?.waiting ?? 0;
  }

  /** For those who look at them; empty where the level has none. */
  get queues(): ReturnType<FairQueues<LevelRequest>['dump']> {
    return this.#queues?.dump() ?? [];
  }

  /** What waits keeps waiting, whatever the new shape says. */
  configure(spec: LevelSpec): void {
    this.#spec = spec;
    this.#hands.clear();
    if (spec.shape.kind !== 'queue') return;
    if (this.#queues === undefined) this.#queues = new FairQueues(spec.shape);
    else this.#queues.reshape(spec.shape);
  }

  /** The queue of this flow to go to, `full` where it takes no more, `undefined` where this level does not queue. */
  place(schema: string, distinguisher: string): QueuePlace | 'full' | undefined {
    const { shape } = this.#spec;
    if (shape.kind !== 'queue' || this.#queues === undefined) return undefined;
    const flow = `${schema}\0${distinguisher}`;
    let hand = this.#hands.get(flow);
    if (hand === undefined) {
      if (this.#hands.size >= HANDS_MAX) this.#hands.clear();
      hand = dealHand(flowHash(schema, distinguisher), shape.queues, shape.handSize);
      this.#hands.set(flow, hand);
    }
    return this.#queues.place(hand) ?? 'full';
  }

  wait(request: LevelRequest, place: QueuePlace): void {
    this.#queues?.add(request, place);
  }

  /** False: it does not wait any more. */
  giveUp(request: LevelRequest, place: QueuePlace): boolean {
    return this.#queues?.remove(request, place) ?? false;
  }

  next(): ReturnType<FairQueues<LevelRequest>['next']> {
    return this.#queues?.next();
  }

  begin(request: LevelRequest, place: QueuePlace | undefined): void {
    this.running += 1;
    this.seatsInUse += request.seats;
    if (place !== undefined) this.#queues?.begin(request, place);
  }

  end(request: LevelRequest, place: QueuePlace | undefined, elapsedMs: number): void {
    this.running -= 1;
    this.seatsInUse -= request.seats;
    if (place !== undefined) this.#queues?.end(request, place, elapsedMs);
  }
}
