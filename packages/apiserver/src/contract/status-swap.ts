import type { JsonObject, KubeObject } from '@dure/api';

/** What a swap came to. `winner` is what stands there instead; `undefined`: nothing. */
export type SwapOutcome =
  | { readonly kind: 'swapped'; readonly object: KubeObject }
  | { readonly kind: 'lost'; readonly winner: KubeObject | undefined };

/**
 * Writes the status of objects for the server's own parts, past admission: only where the object still stands at the revision that the caller saw,
 * whichever server wrote last.
 */
export interface StatusSwap {
  /** @param object As it was read, in the storage version. */
  swap(group: string, resource: string, object: KubeObject, status: JsonObject, signal: AbortSignal): Promise<SwapOutcome>;
}
