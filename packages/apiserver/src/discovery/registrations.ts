import type { JsonObject } from '@dure/api';

/** A group version that is registered: where it stands among the others, and what is there if another server serves it. */
export interface Registration {
  readonly group: string;
  readonly version: string;
  /** The group's place is that of its highest version: higher comes first. */
  readonly groupPriority: number;
  /** Within the group: higher comes first. */
  readonly versionPriority: number;
  readonly elsewhere?: {
    /** In the form of aggregated discovery. */
    readonly resources: readonly JsonObject[];
    /** What was read last is what is there now. */
    readonly isFresh: boolean;
  };
}

/** What is registered now, in no order. Asked for each document. */
export type Registrations = () => readonly Registration[];
