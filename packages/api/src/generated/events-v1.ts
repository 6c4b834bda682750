// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { EventSource, ObjectReference } from './core-v1.ts';

/** events.v1.Event. */
export interface Event extends KubeObject {
  readonly eventTime: string;
  readonly series?: EventSeries;
  readonly reportingController?: string;
  readonly reportingInstance?: string;
  readonly action?: string;
  readonly reason?: string;
  readonly regarding?: ObjectReference;
  readonly related?: ObjectReference;
  readonly note?: string;
  readonly type?: string;
  readonly deprecatedSource?: EventSource;
  readonly deprecatedFirstTimestamp?: string;
  readonly deprecatedLastTimestamp?: string;
  readonly deprecatedCount?: number;
}

/** events.v1.EventSeries. */
export interface EventSeries {
  readonly count: number;
  readonly lastObservedTime: string;
}
