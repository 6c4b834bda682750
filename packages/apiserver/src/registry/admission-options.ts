import type { Json, JsonObject } from '@dure/api';
import type { AdmissionOperation } from '../contract/admission.ts';
import type { DeleteOptions, WriteOptions } from './write-options.ts';

/** The options of a write as admission is shown them: the kind by the operation, and only what the client said. */
export function admissionOptions(operation: AdmissionOperation, options: WriteOptions | DeleteOptions): JsonObject {
  const kind = operation === 'CREATE' ? 'CreateOptions' : operation === 'UPDATE' ? 'UpdateOptions' : 'DeleteOptions';
  const shown: JsonObject = { kind, apiVersion: 'meta.k8s.io/v1' };
  if (options.dryRun) shown.dryRun = ['All'];
  if ('fieldManager' in options) return { ...shown, ...options.sent };
  for (const field of ['gracePeriodSeconds', 'propagationPolicy', 'preconditions'] as const) {
    if (options[field] !== undefined) shown[field] = structuredClone(options[field]) as Json;
  }
  return shown;
}
