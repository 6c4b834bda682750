import type { JsonObject, KubeObject } from '@dure/api';
import type { UserInfo } from './user.ts';

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/** What admission sees of one write. */
export interface AdmissionRequest {
  readonly operation: AdmissionOperation;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly resource: string;
  /** '' for the resource itself. */
  readonly subresource: string;
  /** '' for cluster scope. */
  readonly namespace: string;
  /** '' while a create has only `generateName`. */
  readonly name: string;
  /** What `object` is where it is no object of the resource: the Scale, Binding, Eviction or TokenRequest of a subresource, the options of a connect. */
  readonly bodyKind?: { readonly group: string; readonly version: string; readonly kind: string };
  /**
   * Absent for DELETE. {@link Admission.mutate} may change it in place. It is in the storage version, of custom kinds in the
   * request's, or a `bodyKind` as it was sent; defaulted, not yet validated.
   */
  readonly object?: JsonObject;
  /** What stands there now, for UPDATE and DELETE; in the same version as `object`. Deeply frozen. */
  readonly oldObject?: KubeObject;
  /** CreateOptions, UpdateOptions or DeleteOptions with their `kind` and `apiVersion`; absent for CONNECT. */
  readonly options?: JsonObject;
  readonly dryRun: boolean;
  readonly user: UserInfo;
  /** Sends a Warning header with the answer. */
  warn(message: string): void;
  /**
   * Writes a note beside this request into the audit log. The key is a label key of whoever notes (`validation.policy.admission.k8s.io/validation_failure`);
   * the first value of a key stands. Does nothing where the request is not audited.
   */
  annotate(key: string, value: string): void;
}

/**
 * Both stages refuse by throwing a `StatusError` (Forbidden, Invalid, ...). An update that loses a race runs both again on the newer object,
 * so neither may have effects of its own beyond what a repetition allows.
 */
export interface Admission {
  mutate(request: AdmissionRequest, signal: AbortSignal): Promise<void>;
  validate(request: AdmissionRequest, signal: AbortSignal): Promise<void>;
}
