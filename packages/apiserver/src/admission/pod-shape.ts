import type { JsonObject } from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import { writes } from './admission-chain.ts';

/** The spec of a Pod being created, to be changed in place; `undefined` for every other request. */
export function newPodSpec(request: AdmissionRequest): JsonObject | undefined {
  if (request.operation !== 'CREATE' || !writes(request, 'pods') || request.object === undefined) return undefined;
  return asObject(request.object.spec);
}

/** All containers of a spec, of whichever sort. */
export function containersOf(spec: JsonObject): JsonObject[] {
  return ['containers', 'initContainers'].flatMap((field) => objectsIn(spec[field]));
}

export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.map(asObject).filter((item) => item !== undefined) : [];
}

export function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
