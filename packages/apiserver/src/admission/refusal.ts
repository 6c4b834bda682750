import { forbiddenRequest, type StatusError } from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import { asObject, textIn } from './pod-shape.ts';

/** `RESOURCE "NAME" is forbidden: WHY`, with what is known of a name that is yet to be made. */
export function refusal({ group, resource, name, object }: AdmissionRequest, why: string): StatusError {
  const metadata = asObject(object?.metadata);
  const known = name || textIn(metadata?.name) || textIn(metadata?.generateName) || 'Unknown';
  return forbiddenRequest({ group, resource }, known, why);
}
