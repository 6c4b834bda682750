import type { KubeObject } from '@dure/api';

/** `namespace` absent: all namespaces, or a cluster-scoped kind. */
export interface ReaderQuery {
  readonly namespace?: string;
  /** Only objects that it returns true for. */
  readonly where?: (object: KubeObject) => boolean;
  /** Waits until the answer holds everything that was written before the call. */
  readonly fresh?: boolean;
}

/**
 * Reads from the server's own watch caches, for authorization, admission, quota and the token checks, which may not import the client.
 * Objects are shared and deeply frozen, in the version that they are stored in, which of custom kinds may be any. Answers may lag behind the newest write by the time an event needs to arrive;
 * `fresh` reads wait for the newest revision.
 */
export interface ObjectReader {
  get(
    group: string,
    resource: string,
    namespace: string | undefined,
    name: string,
    options?: { readonly fresh?: boolean },
  ): Promise<KubeObject | undefined>;
  list(group: string, resource: string, query?: ReaderQuery): Promise<readonly KubeObject[]>;
  /** What is in the cache this moment, or `undefined` while it has not been filled (the call starts filling it). Keys are storage keys. Never waits. */
  peek(group: string, resource: string): ReadonlyMap<string, KubeObject> | undefined;
  /** Rises with each change of the resource: a key for memoising what was computed from {@link peek}. */
  revisionOf(group: string, resource: string): number;
}
