import type { JsonObject } from '@dure/api';

export type AuditLevel = 'None' | 'Metadata' | 'Request' | 'RequestResponse';
export type AuditStage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic';

export const AUDIT_LEVELS: readonly AuditLevel[] = ['None', 'Metadata', 'Request', 'RequestResponse'];
export const AUDIT_STAGES: readonly AuditStage[] = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'];

/** One `audit.k8s.io/v1` Event. */
export interface AuditEvent extends JsonObject {
  readonly kind: 'Event';
  readonly apiVersion: 'audit.k8s.io/v1';
  readonly level: AuditLevel;
  readonly auditID: string;
  readonly stage: AuditStage;
}

/** Where events go. */
export interface AuditSink extends AsyncDisposable {
  /** Takes the event at once; what becomes of it later is the sink's matter. Never throws. */
  record(event: AuditEvent): void;
}
