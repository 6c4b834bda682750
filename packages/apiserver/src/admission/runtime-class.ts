import { amountsOf, equalAmounts, type JsonObject, numberAt, objectAt, objectsAt, semanticEqual, stringAt } from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { asObject, newPodSpec, textIn } from './pod-shape.ts';
import { refusal } from './refusal.ts';

/** Writes into a Pod what its RuntimeClass costs beyond its containers, and where it can run. @see https://kubernetes.io/docs/concepts/containers/runtime-class/ */
export function runtimeClass(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'RuntimeClass',
    async mutate(request) {
      const spec = newPodSpec(request);
      const found = spec === undefined ? undefined : await classOf(reader, request, spec);
      if (spec === undefined || found === undefined) return;
      setOverhead(request, spec, found);
      setScheduling(request, spec, found);
    },
    async validate(request) {
      const spec = newPodSpec(request);
      if (spec === undefined) return;
      const overhead = objectAt(await classOf(reader, request, spec), 'overhead');
      if (overhead === undefined) {
        if (spec.overhead !== undefined)
          throw refusal(request, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
      } else if (!isSameOverhead(overhead, spec)) throw mismatch(request);
    },
  };
}

async function classOf(reader: ObjectReader, request: AdmissionRequest, spec: JsonObject): Promise<JsonObject | undefined> {
  const name = textIn(spec.runtimeClassName);
  if (name === '') return undefined;
  // One that has just been deleted must not be found, nor one that has just been made be missed.
  const found = await reader.get('node.k8s.io', 'runtimeclasses', undefined, name, { fresh: true });
  if (found === undefined) throw refusal(request, `pod rejected: RuntimeClass "${name}" not found`);
  return found as unknown as JsonObject;
}

function setOverhead(request: AdmissionRequest, spec: JsonObject, found: JsonObject): void {
  const overhead = objectAt(found, 'overhead');
  if (overhead === undefined) return;
  if (Object.keys(asObject(spec.overhead) ?? {}).length > 0 && !isSameOverhead(overhead, spec)) throw mismatch(request);
  const fixed = objectAt(overhead, 'podFixed');
  if (fixed !== undefined) spec.overhead = structuredClone(fixed);
}

function isSameOverhead(overhead: JsonObject, spec: JsonObject): boolean {
  return equalAmounts(amountsOf(objectAt(overhead, 'podFixed')), amountsOf(asObject(spec.overhead)));
}

function mismatch(request: AdmissionRequest) {
  return refusal(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
}

function setScheduling(request: AdmissionRequest, spec: JsonObject, found: JsonObject): void {
  const scheduling = objectAt(found, 'scheduling');
  if (scheduling === undefined) return;
  const own = asObject(spec.nodeSelector) ?? {};
  const wanted = objectAt(scheduling, 'nodeSelector') ?? {};
  for (const [key, value] of Object.entries(wanted)) {
    if (Object.hasOwn(own, key) && own[key] !== value) {
      throw refusal(
        request,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${String(value)}; pod.spec.nodeSelector[${key}] = ${String(own[key])}`,
      );
    }
  }
  if (Object.keys({ ...own, ...wanted }).length > 0) spec.nodeSelector = { ...own, ...wanted };
  const tolerations = mergeTolerations([...objectsAt(spec, 'tolerations'), ...objectsAt(scheduling, 'tolerations')]);
  if (tolerations.length > 0) spec.tolerations = structuredClone([...tolerations]);
}

/** Without those that another one contains; of equal ones the first stays. */
function mergeTolerations(all: readonly JsonObject[]): readonly JsonObject[] {
  const merged: JsonObject[] = [];
  for (const [index, toleration] of all.entries()) {
    const isRedundant =
      merged.some((other) => contains(other, toleration)) ||
      all.slice(index + 1).some((other) => !semanticEqual(other, toleration) && contains(other, toleration));
    if (!isRedundant) merged.push(toleration);
  }
  return merged;
}

/** Whether `larger` tolerates everything that `smaller` does. */
function contains(larger: JsonObject, smaller: JsonObject): boolean {
  if (semanticEqual(larger, smaller)) return true;
  const operator = stringAt(larger, 'operator') || 'Equal';
  const [key, effect] = [stringAt(larger, 'key'), stringAt(larger, 'effect')];
  if (key !== stringAt(smaller, 'key') && (key !== '' || operator !== 'Exists')) return false;
  if (effect !== '' && effect !== stringAt(smaller, 'effect')) return false;
  const seconds = numberAt(larger, 'tolerationSeconds');
  if (effect === 'NoExecute' && seconds !== undefined && (numberAt(smaller, 'tolerationSeconds') ?? Number.POSITIVE_INFINITY) > seconds)
    return false;
  if (operator === 'Exists') return true;
  return stringAt(smaller, 'operator') === 'Equal' && stringAt(smaller, 'value') === stringAt(larger, 'value');
}
