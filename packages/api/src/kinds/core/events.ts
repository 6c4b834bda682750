/** Events are one kind in two groups: stored as the core group's, shown in either form. */
import type { JsonObject, KindVersion, Strategy, TableColumn } from '../../definition.ts';
import { own, stringAt } from '../../json-value.ts';
import { eventColumns } from '../tables/core.ts';
import { validateEvent } from './event-validation.ts';

/** Each field that the two forms name differently: events.k8s.io, core. */
const RENAMED: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

export const eventStrategy: Strategy = {
  createOnUpdateAllowed: true,
  unconditionalUpdateAllowed: true,
  validate: validateEvent,
  selectableFields(event) {
    const component = stringAt(event, 'source', 'component');
    return {
      'involvedObject.kind': stringAt(event, 'involvedObject', 'kind'),
      'involvedObject.namespace': stringAt(event, 'involvedObject', 'namespace'),
      'involvedObject.name': stringAt(event, 'involvedObject', 'name'),
      'involvedObject.uid': stringAt(event, 'involvedObject', 'uid'),
      'involvedObject.apiVersion': stringAt(event, 'involvedObject', 'apiVersion'),
      'involvedObject.resourceVersion': stringAt(event, 'involvedObject', 'resourceVersion'),
      'involvedObject.fieldPath': stringAt(event, 'involvedObject', 'fieldPath'),
      reason: stringAt(event, 'reason'),
      reportingComponent: stringAt(event, 'reportingComponent'),
      source: component === '' ? stringAt(event, 'reportingComponent') : component,
      type: stringAt(event, 'type'),
    };
  },
};

/** Selectors of this group name the fields by its own words. */
export const eventsV1Strategy: Strategy = {
  ...eventStrategy,
  validate: (event) => validateEvent(stringAt(event, 'apiVersion') === 'v1' ? event : eventToCore(event)),
  selectableFields(event) {
    const asCore = stringAt(event, 'apiVersion') === 'v1' ? event : eventToCore(event);
    const core = eventStrategy.selectableFields?.(asCore) ?? {};
    const fields: Record<string, string> = {};
    for (const [field, value] of Object.entries(core)) fields[field.replace(/^involvedObject\./, 'regarding.')] = value;
    const { reportingComponent = '', source: _source, ...rest } = fields;
    return { ...rest, reportingController: reportingComponent };
  },
};

export const eventsV1Conversion: Pick<KindVersion, 'toStorage' | 'fromStorage'> = {
  toStorage: eventToCore,
  fromStorage: eventFromCore,
};

export const eventsV1Columns: readonly TableColumn[] = eventColumns.map((column) => ({
  ...column,
  value: (event: JsonObject, nowMs: number) => column.value(eventToCore(event), nowMs),
}));

/** The core form of an events.k8s.io Event. */
export function eventToCore(event: JsonObject): JsonObject {
  return { ...rename(event, (pair) => pair), apiVersion: 'v1' };
}

/** The events.k8s.io form of a core Event. */
export function eventFromCore(event: JsonObject): JsonObject {
  return { ...rename(event, ([renamed, core]) => [core, renamed]), apiVersion: 'events.k8s.io/v1' };
}

function rename(event: JsonObject, direction: (pair: readonly [string, string]) => readonly [string, string]): JsonObject {
  const result = { ...event };
  for (const pair of RENAMED) {
    const [from, to] = direction(pair);
    const value = own(event, from);
    delete result[from];
    if (value !== undefined) result[to] = value;
  }
  return result;
}
