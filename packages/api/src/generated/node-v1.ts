// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { Toleration } from './core-v1.ts';

/** node.v1.Overhead. */
export interface Overhead {
  readonly podFixed?: Readonly<Record<string, string>>;
}

/** node.v1.RuntimeClass. */
export interface RuntimeClass extends KubeObject {
  readonly handler: string;
  readonly overhead?: Overhead;
  readonly scheduling?: Scheduling;
}

/** node.v1.Scheduling. */
export interface Scheduling {
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly Toleration[];
}
