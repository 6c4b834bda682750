import type { Draft, KubeList, KubeObject, ResourceRef, WatchEvent } from '@dure/api';

export interface ListQuery {
  /** Absent: all namespaces (or a cluster-scoped kind). */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
}

export interface WatchQuery extends Omit<ListQuery, 'limit' | 'continue'> {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

export interface WriteQuery {
  readonly dryRun?: 'All';
  readonly fieldManager?: string;
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict';
}

export interface DeleteQuery {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: 'All';
}

export type Patch =
  | { readonly kind: 'json'; readonly operations: readonly unknown[] }
  | { readonly kind: 'merge' | 'strategic'; readonly patch: unknown }
  | { readonly kind: 'apply'; readonly object: unknown; readonly fieldManager: string; readonly force?: boolean };

/** Where one object stands. `namespace` is absent for cluster-scoped kinds. */
export interface ObjectKey {
  readonly namespace?: string;
  readonly name: string;
}

/**
 * The API's verbs. Every method throws {@link StatusError} for an answer of 400 and above, {@link TransportError} when none came.
 * Objects that come back are shared and deeply readonly.
 */
export interface Client {
  get<T extends KubeObject>(ref: ResourceRef<T>, key: ObjectKey, signal?: AbortSignal): Promise<T>;
  list<T extends KubeObject>(ref: ResourceRef<T>, query?: ListQuery, signal?: AbortSignal): Promise<KubeList<T>>;
  /** Frames until the server ends the watch or `signal` aborts. An ERROR event is thrown as {@link StatusError}. */
  watch<T extends KubeObject>(
    ref: ResourceRef<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncIterable<Exclude<WatchEvent<T>, { type: 'ERROR' }>>;
  create<T extends KubeObject>(ref: ResourceRef<T>, object: Draft<T>, query?: WriteQuery, signal?: AbortSignal): Promise<T>;
  /** Replaces. `metadata.resourceVersion`, where present, must still be current. */
  update<T extends KubeObject>(ref: ResourceRef<T>, object: T, query?: WriteQuery, signal?: AbortSignal): Promise<T>;
  updateStatus<T extends KubeObject>(ref: ResourceRef<T>, object: T, query?: WriteQuery, signal?: AbortSignal): Promise<T>;
  patch<T extends KubeObject>(
    ref: ResourceRef<T>,
    key: ObjectKey,
    patch: Patch,
    query?: WriteQuery & { readonly subresource?: string },
    signal?: AbortSignal,
  ): Promise<T>;
  delete(ref: ResourceRef, key: ObjectKey, query?: DeleteQuery, signal?: AbortSignal): Promise<unknown>;
  deleteCollection(ref: ResourceRef, query: ListQuery & DeleteQuery, signal?: AbortSignal): Promise<void>;
  /** POST to a subresource (`binding`, `eviction`, `token`); gives the answer's object. */
  createSubresource<R = unknown>(ref: ResourceRef, key: ObjectKey, subresource: string, body: unknown, signal?: AbortSignal): Promise<R>;
  /** Any other path: discovery, `/version`, `PUT .../finalize`, `PUT .../approval`. `path` starts with '/' and carries its query. */
  request<R = unknown>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, signal?: AbortSignal): Promise<R>;
}
