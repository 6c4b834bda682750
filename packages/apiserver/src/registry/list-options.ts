import { badRequest, type FieldError, forbidden, invalid, invalidObject, notSupported } from '@dure/api';
import { isTrue } from '../request/request-info.ts';

export type ResourceVersionMatch = '' | 'Exact' | 'NotOlderThan';

/** The query of get, list, watch and deletecollection, read and checked. */
export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  /** `undefined`: not given, the newest is wanted. */
  readonly resourceVersion: number | undefined;
  readonly resourceVersionMatch: ResourceVersionMatch;
  /** 0: no limit. */
  readonly limit: number;
  readonly continue: string;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutSeconds: number | undefined;
}

/** @throws {StatusError} BadRequest or Invalid, as upstream. */
export function parseListOptions(query: URLSearchParams, watch: boolean): ListOptions {
  const text = query.get('resourceVersion') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  const initial = query.get('sendInitialEvents');
  const options: ListOptions = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    resourceVersion: parseResourceVersion(text),
    resourceVersionMatch: match as ResourceVersionMatch,
    limit: integer(query, 'limit') ?? 0,
    continue: query.get('continue') ?? '',
    allowWatchBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: initial === null || initial === '' ? undefined : isTrue(initial),
    timeoutSeconds: integer(query, 'timeoutSeconds'),
  };
  const errors = watch ? watchErrors(options) : listErrors(options);
  if (errors.length > 0) throw invalidObject({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
  return options;
}

/** @throws {StatusError} BadRequest: not a revision. */
export function parseResourceVersion(text: string): number | undefined {
  if (text === '') return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return value;
}

function listErrors(options: ListOptions): FieldError[] {
  const { resourceVersion, resourceVersionMatch: match } = options;
  const errors = matchErrors(match);
  if (options.sendInitialEvents !== undefined) errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  if (match === '') return errors;
  if (options.continue !== '')
    errors.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
  if (resourceVersion === undefined)
    errors.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  if (match === 'Exact' && resourceVersion === 0) {
    errors.push(forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  return errors;
}

function watchErrors({ resourceVersionMatch: match, sendInitialEvents, allowWatchBookmarks }: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (sendInitialEvents === undefined) {
    if (match !== '')
      errors.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
    return errors;
  }
  if (match === '') {
    errors.push(forbidden('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  } else if (match !== 'NotOlderThan') {
    errors.push(notSupported('resourceVersionMatch', match, ['NotOlderThan']));
  }
  if (sendInitialEvents && !allowWatchBookmarks) {
    errors.push(invalid('allowWatchBookmarks', allowWatchBookmarks, 'sendInitialEvents requires setting allowWatchBookmarks to true'));
  }
  return errors;
}

function matchErrors(match: string): FieldError[] {
  return match === '' || match === 'Exact' || match === 'NotOlderThan'
    ? []
    : [notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', ''])];
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw badRequest(`${name}: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}
