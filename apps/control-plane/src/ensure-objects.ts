import { type Draft, isAlreadyExists, isConflict, isNotFound, type JsonObject, type KubeObject, type ResourceRef } from '@dure/api';
import { type DefaultObject, type ObjectChange, planDefaults } from '@dure/apiserver';
import type { Client, ObjectKey } from '@dure/client';
import type { Clock } from '@dure/foundation';

/** Says where an object of some apiVersion and kind lives; `undefined` for unknown kinds. */
export type RefOf = (apiVersion: string, kind: string) => ResourceRef | undefined;

/** How long another control plane may take between the address and its Service: 5 s. */
const ATTEMPTS_MAX = 20;
const ATTEMPT_DELAY_MS = 250;

/** Writes under way at once: enough to share a disk's flushes, few enough to leave the server some. */
const WRITES_MAX = 64;

/**
 * Makes what is absent and revises what is there, by one list of each kind. Namespaces go first; the rest goes together.
 * @throws {StatusError}
 */
export async function ensureObjects(
  client: Client,
  refOf: RefOf,
  defaults: readonly DefaultObject[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const stored = await listKinds(client, refOf, defaults, signal);
  const changes = planDefaults(defaults, (object) => stored.get(placeOf(object)));
  const isNamespace = (change: ObjectChange): boolean => change.object.kind === 'Namespace';
  const context = { client, refOf, clock };
  await applyChanges(context, changes.filter(isNamespace), signal);
  await applyChanges(
    context,
    changes.filter((change) => !isNamespace(change)),
    signal,
  );
}

export interface ChangeContext {
  readonly client: Client;
  readonly refOf: RefOf;
  readonly clock: Clock;
}

/** Makes the changes, in no particular order. One that another control plane was faster with is left to it. @throws {StatusError} */
export async function applyChanges(context: ChangeContext, changes: readonly ObjectChange[], signal: AbortSignal): Promise<void> {
  const left = [...changes];
  const work = async (): Promise<void> => {
    for (let change = left.shift(); change !== undefined; change = left.shift()) await apply(context, change, signal);
  };
  await Promise.all(Array.from({ length: Math.min(WRITES_MAX, changes.length) }, work));
}

async function apply(context: ChangeContext, change: ObjectChange, signal: AbortSignal): Promise<void> {
  const { client, refOf } = context;
  const { ref, key, draft } = locate(refOf, change.object);
  const object = draft as KubeObject;
  const precondition = (existing: JsonObject) => ({ preconditions: { uid: (existing as unknown as KubeObject).metadata.uid } });
  try {
    switch (change.kind) {
      case 'create':
        await create(context, change.object, signal);
        return;
      case 'update':
        await client.update(ref, object, {}, signal);
        return;
      case 'update-status':
        await client.updateStatus(ref, object, {}, signal);
        return;
      case 'delete':
        await client.delete(ref, key, precondition(change.object), signal);
        return;
      case 'replace':
        await client.delete(ref, key, precondition(change.existing), signal);
        await create(context, change.object, signal);
    }
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
}

async function create({ client, refOf, clock }: ChangeContext, object: JsonObject, signal: AbortSignal): Promise<void> {
  const { ref, key, draft } = locate(refOf, object);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.create(ref, draft, {}, signal);
      return;
    } catch (error) {
      if (isAlreadyExists(error)) return;
      // Another control plane may be making the same now: it holds the Service's address before the Service is there to be found, and the address is
      // asked for before the name.
      if (await stands(client, ref, key, signal)) return;
      if (attempt >= ATTEMPTS_MAX) throw error;
      await clock.sleep(ATTEMPT_DELAY_MS, signal);
    }
  }
}

async function stands(client: Client, ref: ResourceRef, key: ObjectKey, signal: AbortSignal): Promise<boolean> {
  try {
    await client.get(ref, key, signal);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** Everything stored of the kinds in question, by {@link placeOf}. */
async function listKinds(
  client: Client,
  refOf: RefOf,
  defaults: readonly DefaultObject[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, JsonObject>> {
  const refs = new Map(defaults.map(({ object }) => [`${object.apiVersion} ${object.kind}`, locate(refOf, object).ref]));
  const lists = await Promise.all(
    [...refs].map(async ([kind, ref]) => {
      const { items } = await client.list(ref, {}, signal);
      return items.map((item) => [`${kind} ${item.metadata.namespace ?? ''}/${item.metadata.name}`, item] as const);
    }),
  );
  return new Map(lists.flat()) as unknown as ReadonlyMap<string, JsonObject>;
}

function placeOf(object: JsonObject): string {
  const { name, namespace = '' } = object.metadata as { readonly name: string; readonly namespace?: string };
  return `${object.apiVersion} ${object.kind} ${namespace}/${name}`;
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

function locate(
  refOf: RefOf,
  object: JsonObject,
): { readonly ref: ResourceRef; readonly key: { readonly name: string; readonly namespace?: string }; readonly draft: Draft<KubeObject> } {
  const ref = refOf(String(object.apiVersion), String(object.kind));
  if (ref === undefined) throw new Error(`${String(object.apiVersion)} ${String(object.kind)}: no such kind`);
  const { name, namespace } = object.metadata as { readonly name: string; readonly namespace?: string };
  return { ref, key: { name, ...(namespace === undefined ? {} : { namespace }) }, draft: object as unknown as Draft<KubeObject> };
}
