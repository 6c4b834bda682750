import { expired, type KubeObject, notFound, StatusError, timeout, tooManyRequests } from '@dure/api';
import type { Clock, Random } from '@dure/foundation';
import { CompactedError, type Entry, FutureRevisionError, type Revision, type Store } from '@dure/store';
import type { ContinueTokens } from '../watch/continue-token.ts';
import { CacheNotReadyError, TooLargeRevisionError, TooOldRevisionError, type WatchCache } from '../watch/watch-cache.ts';
import type { CacheSet } from './cache-set.ts';
import { convertAhead } from './conversion.ts';
import type { ListOptions } from './list-options.ts';
import { groupResource, type RegistryCall } from './scope.ts';
import { parseSelection, type Selection } from './selection.ts';
import { listPrefix, objectKey, storageOf } from './storage-key.ts';
import { StoredObject } from './stored-object.ts';
import { WatchItems } from './watch-items.ts';

export interface ReaderDeps {
  readonly store: Store;
  readonly caches: CacheSet;
  readonly tokens: ContinueTokens;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ListResult {
  readonly objects: readonly StoredObject[];
  readonly revision: Revision;
  /** '' where the list is complete. */
  readonly continue: string;
  readonly remaining?: number;
}

const EXPIRED_CONTINUE =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
const EXPIRED_LIST = 'The resourceVersion for the provided list is too old.';
const STORE_PAGE = 1000;

/** Gets, lists and watches of stored kinds, with upstream's meaning of resourceVersion. */
export class Reader {
  readonly #deps: ReaderDeps;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
  }

  /** @throws {StatusError} NotFound, Timeout, TooManyRequests. */
  async get(call: RegistryCall, resourceVersion: number | undefined): Promise<StoredObject> {
    const { group, resource } = storageOf(call.kind.definition);
    const cache = await this.#upTo(call, resourceVersion);
    const object = cache.get(objectKey(group, resource, call.namespace, call.name));
    if (object === undefined) throw notFound(groupResource(call), call.name);
    if (call.kind.version.converter !== undefined) await convertAhead(call.kind, [object.object], call.signal);
    return object;
  }

  /** @throws {StatusError} */
  async list(call: RegistryCall, options: ListOptions): Promise<ListResult> {
    const result = await this.#list(call, options);
    if (call.kind.version.converter !== undefined) await convertAhead(call.kind, decoded(result.objects), call.signal);
    return result;
  }

  async #list(call: RegistryCall, options: ListOptions): Promise<ListResult> {
    const { group, resource } = storageOf(call.kind.definition);
    const selection = parseSelection(call.kind, options.labelSelector, options.fieldSelector);
    const prefix = listPrefix(group, resource, call.namespace);
    if (options.continue !== '') return this.#continued(call, options, selection, prefix);
    if (options.resourceVersionMatch === 'Exact' && options.resourceVersion !== undefined) {
      return this.#fromStore(call, options, selection, prefix, options.resourceVersion as Revision, undefined);
    }
    const cache = await this.#upTo(call, options.resourceVersion);
    if (call.kind.version.converter !== undefined && selection.readsFields)
      await convertAhead(call.kind, decoded(cache.range(prefix)), call.signal);
    return this.#fromCache(call, cache, options, selection, prefix);
  }

  /**
   * Events until the request aborts, its time is over, or the watch has to begin anew.
   * @throws {StatusError} Before the first event: Expired, TooManyRequests, Timeout.
   */
  async watch(call: RegistryCall, options: ListOptions): Promise<WatchItems> {
    const { group, resource } = storageOf(call.kind.definition);
    const selection = parseSelection(call.kind, options.labelSelector, options.fieldSelector, call.name);
    const cache = this.#deps.caches.cache(group, resource);
    const fromState = options.sendInitialEvents ?? (options.resourceVersion === undefined || options.resourceVersion === 0);
    // Without a revision or with initial events the watch shows a state, which must be as new as the request asks.
    if (fromState) await this.#upTo(call, options.sendInitialEvents === true ? options.resourceVersion : (options.resourceVersion ?? 0));
    else await this.#translated(() => cache.ready(call.signal));
    let after: number | undefined;
    if (!fromState) {
      after = options.resourceVersion ?? (await this.#deps.store.revision());
      if (after === 0) after = cache.revision;
    }
    const prefix = listPrefix(group, resource, call.namespace);
    const watch = await this.#translated(async () =>
      after === undefined ? cache.watch(prefix) : cache.watchAfter(prefix, after, call.signal),
    );
    const { store, clock, random } = this.#deps;
    return new WatchItems({ call, watch, cache, options, selection, store, clock, random });
  }

  #fromCache(call: RegistryCall, cache: WatchCache, options: ListOptions, selection: Selection, prefix: string): ListResult {
    // A revision of "0" takes what the cache has in one piece, as upstream.
    const limit = options.resourceVersion === 0 ? 0 : options.limit;
    const { revision } = cache;
    const { group, resource } = storageOf(call.kind.definition);
    const objects: StoredObject[] = [];
    let remaining = 0;
    const candidates =
      selection.name !== undefined && (call.namespace !== '' || !call.kind.definition.namespaced)
        ? [cache.get(objectKey(group, resource, call.namespace, selection.name))]
        : cache.range(prefix);
    for (const object of candidates) {
      if (object === undefined || (!selection.everything && !selection.matches(object.object))) continue;
      if (limit > 0 && objects.length === limit) {
        remaining += 1;
        if (!selection.everything) break;
        continue;
      }
      objects.push(object);
    }
    return this.#page(objects, revision, remaining, selection, prefix);
  }

  async #continued(call: RegistryCall, options: ListOptions, selection: Selection, prefix: string): Promise<ListResult> {
    const { tokens, store } = this.#deps;
    const point = tokens.decode(options.continue, prefix);
    const at = point.revision < 0 ? await store.revision() : (point.revision as Revision);
    const after = `${prefix}${point.after}`;
    try {
      return await this.#fromStore(call, options, selection, prefix, at, after);
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== 'Expired') throw error;
      const { status } = expired(EXPIRED_CONTINUE);
      throw new StatusError({ ...status, metadata: { continue: tokens.encode({ revision: -1, after: point.after }, prefix) } });
    }
  }

  async #fromStore(
    call: RegistryCall,
    options: ListOptions,
    selection: Selection,
    prefix: string,
    at: Revision,
    start: string | undefined,
  ): Promise<ListResult> {
    const { store } = this.#deps;
    const objects: StoredObject[] = [];
    let after = start;
    for (;;) {
      const wanted = options.limit > 0 && selection.everything ? options.limit : STORE_PAGE;
      const page = await this.#translated(() =>
        store.list(prefix, { at, limit: wanted, signal: call.signal, ...(after === undefined ? {} : { after }) }),
      );
      const candidates = page.entries.map(stored);
      if (call.kind.version.converter !== undefined && selection.readsFields)
        await convertAhead(call.kind, decoded(candidates), call.signal);
      for (const [index, object] of candidates.entries()) {
        // Decoding costs ten times what copying does.
        if (!selection.everything && !selection.matches(object.object)) continue;
        objects.push(object);
        if (options.limit > 0 && objects.length === options.limit) {
          const remaining = page.remaining + page.entries.length - index - 1;
          return this.#page(objects, at, remaining, selection, prefix);
        }
      }
      after = page.entries.at(-1)?.key;
      if (page.remaining === 0 || after === undefined) return this.#page(objects, at, 0, selection, prefix);
    }
  }

  #page(objects: readonly StoredObject[], revision: Revision, remaining: number, selection: Selection, prefix: string): ListResult {
    const last = objects.at(-1);
    if (remaining === 0 || last === undefined) return { objects, revision, continue: '' };
    const token = this.#deps.tokens.encode({ revision, after: last.key.slice(prefix.length) }, prefix);
    return { objects, revision, continue: token, ...(selection.everything ? { remaining } : {}) };
  }

  /** The cache, at least as new as asked. */
  async #upTo(call: RegistryCall, resourceVersion: number | undefined): Promise<WatchCache> {
    const { group, resource } = storageOf(call.kind.definition);
    const cache = this.#deps.caches.cache(group, resource);
    return this.#translated(async () => {
      if (resourceVersion === 0) await cache.ready(call.signal);
      else await cache.waitFor(resourceVersion ?? (await this.#deps.store.revision()), call.signal);
      return cache;
    });
  }

  async #translated<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw translateReadError(error);
    }
  }
}

/** What a failed read of cache or store is at the API's edge. */
function translateReadError(error: unknown): unknown {
  if (error instanceof CacheNotReadyError) return tooManyRequests('storage is (re)initializing', 1);
  if (error instanceof TooLargeRevisionError) return tooLarge(error.wanted, error.current);
  if (error instanceof FutureRevisionError) return tooLarge(undefined, error.current);
  if (error instanceof TooOldRevisionError) return expired(`too old resource version: ${error.wanted} (${error.oldest})`);
  if (error instanceof CompactedError) return expired(EXPIRED_LIST);
  return error;
}

function tooLarge(wanted: number | undefined, current: number): StatusError {
  const { status } = timeout(`Too large resource version: ${wanted ?? 'the one asked for'}, current: ${current}`, 1);
  return new StatusError({
    ...status,
    details: { ...status.details, causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }] },
  });
}

function* decoded(objects: Iterable<StoredObject>): Generator<KubeObject> {
  for (const { object } of objects) yield object;
}

function stored(entry: Entry): StoredObject {
  return new StoredObject(entry.key, entry.value, entry.modifiedAt);
}
