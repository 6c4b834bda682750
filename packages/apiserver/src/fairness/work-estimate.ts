import { isTrue, type RequestInfo } from '../request/request-info.ts';

/** How many objects of a resource are known; `undefined` for resources that are not kept here. */
export type ObjectCount = (group: string, version: string, resource: string) => number | undefined;

/** Upstream's figures. */
const OBJECTS_PER_SEAT = 100;
const SEATS_MAX = 10;
/** One request holds at most so much of its level. */
const LEVEL_PART_MAX = 0.15;

/**
 * The seats that a request holds while it runs: one, and more for lists and for watches that begin with what is there, by the objects they look at.
 * Writes count as one whoever watches; upstream charges them for watchers too. Pure.
 * @param nominal Seats of its level.
 */
export function estimateSeats(info: RequestInfo, query: URLSearchParams, objectCount: ObjectCount, nominal: number): number {
  if (info.kind === 'path' || info.name !== '') return 1;
  if (info.verb !== 'list' && !(info.verb === 'watch' && isTrue(query.get('sendInitialEvents')))) return 1;
  const fieldSelector = query.get('fieldSelector') ?? '';
  if (/(?:^|,)metadata\.name==?[^,]/.test(fieldSelector)) return 1;
  const stored = objectCount(info.group, info.version, info.resource) ?? 0;
  const limit = Number(query.get('limit') ?? 0);
  // With selectors the limit says how many are found, not how many are looked at.
  const isPlain = fieldSelector === '' && (query.get('labelSelector') ?? '') === '';
  const objects = isPlain && limit > 0 ? Math.min(limit, stored) : stored;
  const most = Math.min(SEATS_MAX, Math.max(1, Math.ceil(nominal * LEVEL_PART_MAX)));
  return Math.min(Math.max(1, Math.ceil(objects / OBJECTS_PER_SEAT)), most);
}
