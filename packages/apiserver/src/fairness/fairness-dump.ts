import { textResponse } from '../http/exchange.ts';
import type { PathHandler } from '../request/call.ts';
import type { Fairness } from './fairness.ts';

/** `/debug/api_priority_and_fairness/dump_*`: a line for each level, queue or waiting request, with upstream's columns. By path. */
export function fairnessDumps(fairness: Fairness, wallMs: (monotonicMs: number) => number): ReadonlyMap<string, PathHandler> {
  const page = (columns: readonly string[], rows: () => Iterable<readonly unknown[]>): PathHandler => {
    return async () => textResponse(200, `${[columns, ...rows()].map((row) => row.join(', ')).join('\n')}\n`);
  };
  const root = '/debug/api_priority_and_fairness';
  return new Map([
    [`${root}/dump_priority_levels`, page(LEVEL_COLUMNS, () => levelRows(fairness))],
    [`${root}/dump_queues`, page(QUEUE_COLUMNS, () => queueRows(fairness))],
    [`${root}/dump_requests`, page(REQUEST_COLUMNS, () => requestRows(fairness, wallMs))],
  ]);
}

const LEVEL_COLUMNS = [
  ...['PriorityLevelName', 'ActiveQueues', 'IsIdle', 'IsQuiescing', 'WaitingRequests', 'ExecutingRequests'],
  ...['DispatchedRequests', 'RejectedRequests', 'TimedoutRequests', 'CancelledRequests'],
];
const QUEUE_COLUMNS = [
  'PriorityLevelName',
  'Index',
  'PendingRequests',
  'ExecutingRequests',
  'SeatsInUse',
  'NextDispatchR',
  'InitialSeatsSum',
];
const REQUEST_COLUMNS = [
  ...['PriorityLevelName', 'FlowSchemaName', 'QueueIndex', 'RequestIndexInQueue', 'FlowDistingsher', 'ArriveTime', 'InitialSeats'],
];

function* levelRows({ pool, metrics }: Fairness): Generator<readonly unknown[]> {
  for (const level of pool.levels) {
    const active = level.queues.filter(({ waiting }) => waiting.length > 0).length;
    const refused = metrics.rejections(level.name);
    const of = (...reasons: string[]): number => reasons.reduce((total, reason) => total + (refused.get(reason) ?? 0), 0);
    const isIdle = level.running === 0 && level.waiting === 0;
    yield [
      ...[level.name, level.isExempt ? '<none>' : active, isIdle, level.isRetiring, level.waiting, level.running],
      ...[metrics.dispatched(level.name), of('queue-full', 'concurrency-limit'), of('time-out'), of('cancelled')],
    ];
  }
}

function* queueRows({ pool }: Fairness): Generator<readonly unknown[]> {
  for (const { name, queues } of pool.levels) {
    for (const [index, { waiting, running, seatsInUse, virtualEnd }] of queues.entries()) {
      const seats = waiting.reduce((total, request) => total + request.seats, 0);
      yield [name, index, waiting.length, running, seatsInUse, `${(virtualEnd / 1000).toFixed(8)}ss`, seats];
    }
  }
}

function* requestRows({ pool }: Fairness, wallMs: (monotonicMs: number) => number): Generator<readonly unknown[]> {
  for (const { name, queues } of pool.levels) {
    for (const [queue, { waiting }] of queues.entries()) {
      for (const [index, { schema, distinguisher, arrivedMs, seats }] of waiting.entries()) {
        yield [name, schema, queue, index, distinguisher, new Date(wallMs(arrivedMs)).toISOString(), seats];
      }
    }
  }
}
