import type { QueuePlace } from './fair-queues.ts';
import { type LevelRequest, type LevelSpec, PriorityLevel } from './priority-level.ts';
import { planSeats } from './seat-limits.ts';

/** Why a request was not let in. Upstream's words, which its metrics show. */
export type Refusal = 'queue-full' | 'concurrency-limit';

/**
 * The seats of all priority levels, and who gets one that is free.
 *
 * Borrowing: of its nominal seats each level keeps `reserved` to itself. The others, those it lends, lie in one pool for all: a level that has used up what it
 * reserved takes from the pool, up to its own limit, and no seat is ever taken twice, so that the server never runs more than its total. While a level that has
 * less than its nominal seats waits for one, nobody beyond its nominal seats gets any: what was lent comes back as what runs on it ends. Upstream estimates
 * demand and moves limits every ten seconds; this way there is nothing to estimate, and idle seats are used at once.
 */
export class SeatPool {
  readonly #total: number;
  readonly #levels = new Map<string, PriorityLevel>();
  /** Seats that all levels lend. */
  #lent = 0;

  /** @param total Seats of the whole server. */
  constructor(total: number) {
    this.#total = total;
  }

  get levels(): Iterable<PriorityLevel> {
    return this.#levels.values();
  }

  level(name: string): PriorityLevel | undefined {
    return this.#levels.get(name);
  }

  /** Replaces the configuration. Levels that are no more keep their seats until nothing of theirs runs or waits. */
  configure(specs: readonly LevelSpec[]): void {
    const wanted = new Set(specs.map(({ name }) => name));
    for (const level of this.#levels.values()) level.isRetiring = !wanted.has(level.name);
    for (const spec of specs) {
      const level = this.#levels.get(spec.name);
      if (level === undefined) this.#levels.set(spec.name, new PriorityLevel(spec));
      else level.configure(spec);
    }
    this.#retire();
    this.#divide();
    this.#dispatch();
  }

  /** True where a request of `seats` may run this moment. */
  enters(level: PriorityLevel, request: LevelRequest): boolean {
    return level.isExempt || (level.waiting === 0 && this.#fits(level, request.seats));
  }

  begin(level: PriorityLevel, request: LevelRequest, place: QueuePlace | undefined): void {
    level.begin(request, place);
  }

  /** Gives the seats back and lets others in. */
  end(level: PriorityLevel, request: LevelRequest, place: QueuePlace | undefined, elapsedMs: number): void {
    level.end(request, place, elapsedMs);
    this.#settle(level);
  }

  /** Takes back what waits; false: it waits no more. */
  giveUp(level: PriorityLevel, request: LevelRequest, place: QueuePlace): boolean {
    const waited = level.giveUp(request, place);
    if (waited) this.#settle(level);
    return waited;
  }

  #settle(level: PriorityLevel): void {
    if (level.isRetiring && this.#retire()) this.#divide();
    this.#dispatch();
  }

  #retire(): boolean {
    let changed = false;
    for (const level of this.#levels.values()) {
      if (!level.isRetiring || level.running > 0 || level.waiting > 0) continue;
      this.#levels.delete(level.name);
      changed = true;
    }
    return changed;
  }

  #divide(): void {
    const limits = planSeats(this.#total, new Map([...this.#levels].map(([name, { spec }]) => [name, spec.shares])));
    this.#lent = 0;
    for (const level of this.#levels.values()) {
      level.limits = limits.get(level.name) ?? level.limits;
      this.#lent += level.limits.nominal - level.limits.reserved;
    }
  }

  /** Levels with the smallest part of their own seats go first, so that nobody borrows what an owner waits for. */
  #dispatch(): void {
    for (;;) {
      let first: PriorityLevel | undefined;
      for (const level of this.#levels.values()) {
        const next = level.waiting > 0 ? level.next() : undefined;
        if (next === undefined || !this.#fits(level, next.work.seats)) continue;
        if (first === undefined || level.seatsInUse * first.limits.nominal < first.seatsInUse * level.limits.nominal) first = level;
      }
      const next = first?.next();
      if (first === undefined || next === undefined) return;
      first.begin(next.work, next.place);
      next.work.start();
    }
  }

  #fits(level: PriorityLevel, asked: number): boolean {
    const { limits, seatsInUse } = level;
    // What was estimated under other limits must still be able to run.
    const seats = Math.min(asked, Math.max(limits.most, 1));
    const after = seatsInUse + seats;
    if (after <= limits.reserved) return true;
    if (after > limits.most) return false;
    if (after > limits.nominal && this.#ownerWaits(level)) return false;
    let used = after - Math.max(limits.reserved, seatsInUse);
    for (const other of this.#levels.values()) {
      const over = Math.max(other.seatsInUse - other.limits.reserved, 0);
      // What is exempt takes more than it lends from nobody: it is not held back, and must not hold back others.
      used += other.isExempt ? Math.min(over, other.limits.nominal - other.limits.reserved) : over;
    }
    return used <= this.#lent;
  }

  #ownerWaits(borrower: PriorityLevel): boolean {
    for (const level of this.#levels.values()) {
      if (level !== borrower && level.waiting > 0 && level.seatsInUse < level.limits.nominal) return true;
    }
    return false;
  }
}
