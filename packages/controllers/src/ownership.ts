import type { KubeObject, OwnerReference, ResourceRef } from '@dure/api';
import { isNotFound } from '@dure/api';
import type { Client } from '@dure/client';

/** The reference to the one owner that manages `object`, if any. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

export const ORPHANS = 'orphans';

/** An index of what nobody manages, by namespace: who may be adopted, without walking through everything in it. */
export function orphanNamespace(object: KubeObject): readonly string[] {
  return controllerOf(object) === undefined ? [object.metadata.namespace ?? ''] : [];
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** `v1`, `apps/v1`. */
export function apiVersionOf({ group, version }: ResourceRef): string {
  return group === '' ? version : `${group}/${version}`;
}

/** What a child carries to say that `owner` manages it. */
export function controllerReference(owner: KubeObject, ref: ResourceRef): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: apiVersionOf(ref), kind: ref.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

export interface Claim<T extends KubeObject> {
  /** Managed by the owner and selected by it. */
  readonly owned: readonly T[];
  /** Selected and managed by nobody. */
  readonly adopt: readonly T[];
  /** Managed by the owner but no longer selected. */
  readonly release: readonly T[];
}

/** Which of `candidates` (all of the owner's namespace) belong to `owner`. A going owner takes nothing new. */
export function planClaim<T extends KubeObject>(owner: KubeObject, matches: (object: T) => boolean, candidates: readonly T[]): Claim<T> {
  const owned: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  const ownerGoing = owner.metadata.deletionTimestamp !== undefined;
  for (const candidate of candidates) {
    const controller = controllerOf(candidate);
    const going = candidate.metadata.deletionTimestamp !== undefined;
    if (controller === undefined) {
      if (!ownerGoing && !going && matches(candidate)) adopt.push(candidate);
    } else if (controller.uid === owner.metadata.uid) {
      if (matches(candidate)) owned.push(candidate);
      else if (!ownerGoing && !going) release.push(candidate);
    }
  }
  return { owned, adopt, release };
}

/**
 * Carries a claim out. @returns What the owner manages now: `owned` and what was adopted.
 * @throws what the client throws, except where the object went meanwhile or changed hands.
 */
export async function applyClaim<T extends KubeObject>(
  {
    client,
    owner,
    ownerRef,
    ref,
  }: { readonly client: Client; readonly owner: KubeObject; readonly ownerRef: ResourceRef; readonly ref: ResourceRef<T> },
  { owned, adopt, release }: Claim<T>,
  signal: AbortSignal,
): Promise<readonly T[]> {
  const adopted: T[] = [];
  if (adopt.length > 0 && (await ownerStillStands(client, owner, ownerRef, signal))) {
    for (const object of adopt) {
      const ownerReferences = [...(object.metadata.ownerReferences ?? []), controllerReference(owner, ownerRef)];
      adopted.push(await patchOwners(client, ref, object, ownerReferences, signal));
    }
  }
  for (const object of release) {
    const ownerReferences = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
    await patchOwners(client, ref, object, ownerReferences, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
  return [...owned, ...adopted];
}

/** The cache may not know yet that the owner is going, and an orphan it just left behind must not be taken again. */
async function ownerStillStands(client: Client, owner: KubeObject, ref: ResourceRef, signal: AbortSignal): Promise<boolean> {
  try {
    const { metadata } = await client.get(ref, owner.metadata, signal);
    return metadata.uid === owner.metadata.uid && metadata.deletionTimestamp === undefined;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** uid and resourceVersion in the patch: a stale view fails with Conflict instead of taking what changed hands. */
function patchOwners<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  { metadata }: T,
  ownerReferences: readonly OwnerReference[],
  signal: AbortSignal,
): Promise<T> {
  const { uid, resourceVersion } = metadata;
  return client.patch<T>(
    ref,
    metadata,
    { kind: 'merge', patch: { metadata: { uid, resourceVersion, ownerReferences: ownerReferences.length > 0 ? ownerReferences : null } } },
    {},
    signal,
  );
}
