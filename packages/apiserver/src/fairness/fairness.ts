import { type FlowSchema, type PriorityLevelConfiguration, tooManyRequests } from '@dure/api';
import type { Clock } from '@dure/foundation';
import { mandatoryFlowSchemas, mandatoryPriorityLevels } from '../bootstrap/flow-control/default-flow-control.ts';
import type { UserInfo } from '../contract/user.ts';
import type { RequestInfo } from '../request/request-info.ts';
import type { QueuePlace } from './fair-queues.ts';
import { FairnessMetrics, type FlowCounts } from './fairness-metrics.ts';
import { distinguisherOf, inMatchingOrder, matchesSchema } from './flow-schema.ts';
import { type LevelRequest, levelSpec, type PriorityLevel } from './priority-level.ts';
import { type Refusal, SeatPool } from './seat-pool.ts';
import { estimateSeats, type ObjectCount } from './work-estimate.ts';

export interface FairnessOptions {
  /** Seats of the whole server. */
  readonly seats: number;
  /** The longest that a request waits in a queue. */
  readonly queueWaitMs: number;
  readonly clock: Clock;
  readonly objectCount: ObjectCount;
}

/** Where a request belongs. */
export interface Flow {
  readonly schema: FlowSchema;
  readonly level: PriorityLevel;
  readonly distinguisher: string;
}

/** Gives back what a request held, once; later calls do nothing. */
export type Leave = () => void;

const MANDATORY_LEVELS = mandatoryPriorityLevels as unknown as readonly PriorityLevelConfiguration[];
const MANDATORY_SCHEMAS = mandatoryFlowSchemas as unknown as readonly FlowSchema[];
/** Upstream's figure where it has seen no refusals yet. */
const RETRY_AFTER_S = 1;

/**
 * API priority and fairness: every request belongs to a flow of a FlowSchema, whose PriorityLevelConfiguration says how many may run at once and what becomes of the
 * others. @see https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
 */
export class Fairness {
  readonly metrics = new FairnessMetrics();
  readonly pool: SeatPool;
  readonly #options: FairnessOptions;
  #schemas: readonly { readonly schema: FlowSchema; readonly level: PriorityLevel }[] = [];

  constructor(options: FairnessOptions) {
    this.#options = options;
    this.pool = new SeatPool(options.seats);
    this.configure([], []);
  }

  /** Takes what is stored; mandatory objects that are not there are in force all the same. Schemas of levels that are not there match nothing. */
  configure(schemas: readonly FlowSchema[], levels: readonly PriorityLevelConfiguration[]): void {
    this.pool.configure(withMandatory(levels, MANDATORY_LEVELS).map(levelSpec));
    this.#schemas = inMatchingOrder(withMandatory(schemas, MANDATORY_SCHEMAS)).flatMap((schema) => {
      const level = this.pool.level(schema.spec.priorityLevelConfiguration.name);
      return level === undefined || level.isRetiring ? [] : [{ schema, level }];
    });
  }

  /** The flow of a request. */
  classify(user: UserInfo, info: RequestInfo): Flow {
    const { schema, level } = this.#schemas.find((candidate) => matchesSchema(candidate.schema, user, info)) ?? this.#last();
    return { schema, level, distinguisher: distinguisherOf(schema, user, info) };
  }

  /**
   * Lets a request in, at once where it can be.
   * @throws {StatusError} TooManyRequests. @throws the signal's reason if it aborts while the request waits.
   */
  enter(flow: Flow, info: RequestInfo, query: URLSearchParams, signal: AbortSignal): Leave | Promise<Leave> {
    const { clock, objectCount } = this.#options;
    const { schema, level, distinguisher } = flow;
    const counts = this.metrics.flow(level.name, schema.metadata.name);
    const seats = level.isExempt ? 1 : estimateSeats(info, query, objectCount, level.limits.nominal);
    let start = (): void => {};
    const request: LevelRequest = {
      schema: schema.metadata.name,
      distinguisher,
      seats,
      arrivedMs: clock.monotonicMs(),
      start: () => start(),
    };
    const place = level.isExempt ? undefined : level.place(request.schema, distinguisher);
    if (place !== 'full' && this.pool.enters(level, request)) {
      this.pool.begin(level, request, place);
      return this.#started(level, request, place, counts, request.arrivedMs);
    }
    if (place === undefined || place === 'full') throw this.#refuse(counts, place === 'full' ? 'queue-full' : 'concurrency-limit');
    return new Promise((resolve, reject) => {
      const left = new AbortController();
      counts.inQueue += 1;
      const leaveQueue = (execute: boolean): void => {
        counts.inQueue -= 1;
        left.abort();
        signal.removeEventListener('abort', onAbort);
        this.metrics.waited(counts, clock.monotonicMs() - request.arrivedMs, execute);
      };
      const onAbort = (): void => {
        if (!this.pool.giveUp(level, request, place)) return;
        leaveQueue(false);
        this.metrics.rejected(counts, 'cancelled');
        reject(signal.reason);
      };
      start = () => {
        leaveQueue(true);
        resolve(this.#started(level, request, place, counts, clock.monotonicMs()));
      };
      level.wait(request, place);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      clock.sleep(this.#options.queueWaitMs, left.signal).then(
        () => {
          if (!this.pool.giveUp(level, request, place)) return;
          leaveQueue(false);
          reject(this.#refuse(counts, 'time-out'));
        },
        () => undefined,
      );
    });
  }

  #started(level: PriorityLevel, request: LevelRequest, place: QueuePlace | undefined, counts: FlowCounts, beganMs: number): Leave {
    counts.dispatched += 1;
    counts.executing += 1;
    counts.seats += request.seats;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      counts.executing -= 1;
      counts.seats -= request.seats;
      this.pool.end(level, request, place, this.#options.clock.monotonicMs() - beganMs);
    };
  }

  #refuse(counts: FlowCounts, reason: Refusal | 'time-out'): Error {
    this.metrics.rejected(counts, reason);
    return tooManyRequests('Too many requests, please try again later.', RETRY_AFTER_S);
  }

  /** Those whom no schema names: the mandatory ones name everybody who has a group. */
  #last(): { readonly schema: FlowSchema; readonly level: PriorityLevel } {
    const last = this.#schemas.at(-1);
    if (last === undefined) throw new Error('fairness: not configured');
    return last;
  }
}

/** Tells the client where its request belonged; '' of what is in force without being stored. */
export function flowHeaders({ schema, level }: Flow): Readonly<Record<string, string>> {
  return { 'x-kubernetes-pf-flowschema-uid': schema.metadata.uid ?? '', 'x-kubernetes-pf-prioritylevel-uid': level.spec.uid };
}

function withMandatory<T extends { readonly metadata: { readonly name: string } }>(
  stored: readonly T[],
  mandatory: readonly T[],
): readonly T[] {
  const names = new Set(stored.map(({ metadata }) => metadata.name));
  return [...stored, ...mandatory.filter(({ metadata }) => !names.has(metadata.name))];
}
