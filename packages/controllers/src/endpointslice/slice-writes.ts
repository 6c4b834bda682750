import { type EndpointSlice, endpointSlices, isNotFound } from '@dure/api';
import type { Client } from '@dure/client';
import type { Expectations } from '@dure/reconcile';
import type { SlicePlan } from './slice-plan.ts';

export interface SliceWrites {
  readonly client: Client;
  /** Told of what the cache does not show yet, under the key of the Service. */
  readonly expectations: Expectations;
}

/** Carries out `plan` for the Service at `key`. A slice that is gone already is no fault; every other refusal is thrown. */
export async function applySlicePlan(
  plan: SlicePlan,
  key: string,
  { client, expectations }: SliceWrites,
  signal: AbortSignal,
): Promise<void> {
  expectations.expectCreations(key, plan.create.length);
  let sent = 0;
  try {
    for (const draft of plan.create) {
      sent += 1;
      await client.create<EndpointSlice>(endpointSlices, draft, {}, signal).catch((error: unknown) => {
        expectations.creationDone(key);
        throw error;
      });
    }
  } finally {
    expectations.creationDone(key, plan.create.length - sent);
  }
  for (const slice of plan.update) await client.update<EndpointSlice>(endpointSlices, slice, {}, signal);
  for (const { metadata } of plan.remove) {
    expectations.expectDeletion(key, metadata.uid);
    await client.delete(endpointSlices, metadata, { preconditions: { uid: metadata.uid } }, signal).catch((error: unknown) => {
      expectations.deletionDone(key, metadata.uid);
      if (!isNotFound(error)) throw error;
    });
  }
}
