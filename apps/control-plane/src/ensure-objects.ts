import { type Draft, isAlreadyExists, isNotFound, type JsonObject, type KubeObject, type ResourceRef } from '@dure/api';
import type { Client } from '@dure/client';
import type { Clock } from '@dure/foundation';

/** Says where an object of some apiVersion and kind lives; `undefined` for unknown kinds. */
export type RefOf = (apiVersion: string, kind: string) => ResourceRef | undefined;

/** How long another control plane may take between the address and its Service: 5 s. */
const ATTEMPTS_MAX = 20;
const ATTEMPT_DELAY_MS = 250;

const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

/**
 * Creates what is absent. Existing objects are left to their owners, but for the bootstrap roles: rules and subjects that a newer version
 * brings are added, unless the object says that it does not want that.
 */
export async function ensureObjects(
  client: Client,
  refOf: RefOf,
  objects: readonly JsonObject[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  // Namespaces come first in the list and must exist before what lies in them; the rest may go in parallel.
  const namespaces = objects.filter(({ kind }) => kind === 'Namespace');
  for (const object of namespaces) await ensure(client, refOf, object, clock, signal);
  await Promise.all(objects.filter(({ kind }) => kind !== 'Namespace').map((object) => ensure(client, refOf, object, clock, signal)));
}

/** Makes the object be as given, whatever stood there. */
export async function replaceObject(client: Client, refOf: RefOf, object: JsonObject, signal: AbortSignal): Promise<void> {
  const { ref, key, draft } = locate(refOf, object);
  try {
    await client.create(ref, draft, {}, signal);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    await client.patch(ref, key, { kind: 'merge', patch: object }, {}, signal);
  }
}

async function ensure(client: Client, refOf: RefOf, object: JsonObject, clock: Clock, signal: AbortSignal): Promise<void> {
  const { ref, key, draft } = locate(refOf, object);
  let existing: KubeObject | undefined;
  for (let attempt = 1; existing === undefined; attempt += 1) {
    existing = await client.get(ref, key, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return undefined;
    });
    if (existing !== undefined) break;
    try {
      await client.create(ref, draft, {}, signal);
      return;
    } catch (error) {
      // Another control plane may be making the same now: it holds the Service's address before the Service is there to be found.
      if (!isAlreadyExists(error) && attempt >= ATTEMPTS_MAX) throw error;
      await clock.sleep(ATTEMPT_DELAY_MS, signal);
    }
  }
  if (existing.metadata.annotations?.[AUTOUPDATE] !== 'true') return;
  const additions = missingEntries(existing as unknown as JsonObject, object);
  if (Object.keys(additions).length > 0) await client.patch(ref, key, { kind: 'merge', patch: additions }, {}, signal);
}

/** `rules` and `subjects` of `wanted` appended to those of `existing`, where some are missing. */
function missingEntries(existing: JsonObject, wanted: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const field of ['rules', 'subjects']) {
    const [has, wants] = [existing[field], wanted[field]].map((value) => (Array.isArray(value) ? value : []));
    const known = new Set((has ?? []).map((entry) => JSON.stringify(sorted(entry))));
    const missing = (wants ?? []).filter((entry) => !known.has(JSON.stringify(sorted(entry))));
    if (missing.length > 0) patch[field] = [...(has ?? []), ...missing];
  }
  return patch;
}

/** With keys in order, so that equal values print alike. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}

function locate(
  refOf: RefOf,
  object: JsonObject,
): { readonly ref: ResourceRef; readonly key: { readonly name: string; readonly namespace?: string }; readonly draft: Draft<KubeObject> } {
  const ref = refOf(String(object.apiVersion), String(object.kind));
  if (ref === undefined) throw new Error(`${String(object.apiVersion)} ${String(object.kind)}: no such kind`);
  const { name, namespace } = object.metadata as { readonly name: string; readonly namespace?: string };
  return { ref, key: { name, ...(namespace === undefined ? {} : { namespace }) }, draft: object as unknown as Draft<KubeObject> };
}
