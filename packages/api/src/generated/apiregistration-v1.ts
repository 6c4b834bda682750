// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';

/** apiregistration.v1.APIService. */
export interface APIService extends KubeObject {
  readonly spec: APIServiceSpec;
  readonly status: APIServiceStatus;
}

/** apiregistration.v1.APIServiceCondition. */
export interface APIServiceCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** apiregistration.v1.APIServiceSpec. */
export interface APIServiceSpec {
  readonly service?: ServiceReference;
  readonly group?: string;
  readonly version?: string;
  readonly insecureSkipTLSVerify?: boolean;
  readonly caBundle?: string;
  readonly groupPriorityMinimum: number;
  readonly versionPriority: number;
}

/** apiregistration.v1.APIServiceStatus. */
export interface APIServiceStatus {
  readonly conditions?: readonly APIServiceCondition[];
}

/** apiregistration.v1.ServiceReference. */
export interface ServiceReference {
  readonly namespace?: string;
  readonly name?: string;
  readonly port?: number;
}
