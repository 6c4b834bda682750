import { type Draft, type KubeList, type KubeObject, type ResourceRef, toJsonText, type WatchEvent } from '@dure/api';
import { isAbort } from '@dure/foundation';
import type { Client, DeleteQuery, ListQuery, ObjectKey, Patch, WatchQuery, WriteQuery } from './client.ts';
import { collectionPath, objectPath, withQuery } from './resource-path.ts';
import { statusErrorFrom } from './status-answer.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

export interface ClientOptions {
  /** Names the program in the server's logs and as the default field manager: the part before the first '/'. */
  readonly userAgent: string;
}

const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // JSON is YAML, and servers since 1.16 accept this type for apply.
  apply: 'application/apply-patch+yaml',
} as const;

/** The API's verbs over `transport`, JSON on the wire. Retries nothing: callers know which of their requests may be sent twice. */
export function createClient(transport: Transport, options: ClientOptions): Client {
  return new RestClient(transport, options);
}

class RestClient implements Client {
  readonly #transport: Transport;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(transport: Transport, { userAgent }: ClientOptions) {
    this.#transport = transport;
    this.#headers = { accept: 'application/json', 'user-agent': userAgent };
  }

  get<T extends KubeObject>(ref: ResourceRef<T>, key: ObjectKey, signal?: AbortSignal): Promise<T> {
    return this.#send('GET', objectPath(ref, key), {}, signal);
  }

  list<T extends KubeObject>(ref: ResourceRef<T>, query: ListQuery = {}, signal?: AbortSignal): Promise<KubeList<T>> {
    return this.#send('GET', withQuery(collectionPath(ref, query.namespace), query), {}, signal);
  }

  async *watch<T extends KubeObject>(
    ref: ResourceRef<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<WatchEvent<T>, { type: 'ERROR' }>, void, undefined> {
    const path = withQuery(collectionPath(ref, query.namespace), { ...query, watch: true });
    const response = await this.#transport.send({ method: 'GET', path, headers: this.#headers }, signal);
    if (response.status >= 400) throw statusErrorFrom(response.status, await bodyOf(response), { method: 'GET', path });
    try {
      for await (const frame of response.frames()) {
        const event = frame as WatchEvent<T>;
        if (event.type === 'ERROR') throw statusErrorFrom(500, event.object, { method: 'GET', path });
        yield event;
      }
    } catch (error) {
      // The caller asked for the end: that is an end, not a failure.
      if (signal.aborted && (error === signal.reason || isAbort(error, signal))) return;
      throw error;
    }
  }

  create<T extends KubeObject>(ref: ResourceRef<T>, object: Draft<T>, query: WriteQuery = {}, signal?: AbortSignal): Promise<T> {
    const path = withQuery(collectionPath(ref, namespaceOf(ref, object.metadata.namespace)), query);
    return this.#send('POST', path, { body: typed(ref, object) }, signal);
  }

  update<T extends KubeObject>(ref: ResourceRef<T>, object: T, query: WriteQuery = {}, signal?: AbortSignal): Promise<T> {
    return this.#send('PUT', withQuery(objectPath(ref, object.metadata), query), { body: typed(ref, object) }, signal);
  }

  updateStatus<T extends KubeObject>(ref: ResourceRef<T>, object: T, query: WriteQuery = {}, signal?: AbortSignal): Promise<T> {
    return this.#send('PUT', withQuery(objectPath(ref, object.metadata, 'status'), query), { body: typed(ref, object) }, signal);
  }

  patch<T extends KubeObject>(
    ref: ResourceRef<T>,
    key: ObjectKey,
    patch: Patch,
    { subresource, ...query }: WriteQuery & { readonly subresource?: string } = {},
    signal?: AbortSignal,
  ): Promise<T> {
    const applied = patch.kind === 'apply' ? { fieldManager: patch.fieldManager, ...(patch.force && { force: true }) } : {};
    const path = withQuery(objectPath(ref, key, subresource), { ...query, ...applied });
    const body = patch.kind === 'json' ? patch.operations : patch.kind === 'apply' ? patch.object : patch.patch;
    return this.#send('PATCH', path, { body, contentType: PATCH_TYPES[patch.kind] }, signal);
  }

  delete(ref: ResourceRef, key: ObjectKey, query: DeleteQuery = {}, signal?: AbortSignal): Promise<unknown> {
    return this.#send('DELETE', objectPath(ref, key), { body: deleteOptions(query) }, signal);
  }

  async deleteCollection(ref: ResourceRef, query: ListQuery & DeleteQuery, signal?: AbortSignal): Promise<void> {
    const { gracePeriodSeconds: _grace, propagationPolicy: _policy, preconditions: _preconditions, dryRun: _dryRun, ...selection } = query;
    const path = withQuery(collectionPath(ref, query.namespace), selection);
    await this.#send('DELETE', path, { body: deleteOptions(query) }, signal);
  }

  createSubresource<R = unknown>(ref: ResourceRef, key: ObjectKey, subresource: string, body: unknown, signal?: AbortSignal): Promise<R> {
    return this.#send('POST', objectPath(ref, key, subresource), { body }, signal);
  }

  request<R = unknown>(method: TransportRequest['method'], path: string, body?: unknown, signal?: AbortSignal): Promise<R> {
    return this.#send(method, path, body === undefined ? {} : { body }, signal);
  }

  async #send<R>(
    method: TransportRequest['method'],
    path: string,
    { body, contentType = 'application/json' }: { readonly body?: unknown; readonly contentType?: string },
    signal: AbortSignal | undefined,
  ): Promise<R> {
    const request: TransportRequest =
      body === undefined
        ? { method, path, headers: this.#headers }
        : { method, path, headers: { ...this.#headers, 'content-type': contentType }, body: Buffer.from(toJsonText(body)) };
    const response = await this.#transport.send(request, signal);
    const answer = await bodyOf(response);
    if (response.status >= 400) throw statusErrorFrom(response.status, answer, { method, path, headers: response.headers });
    return answer as R;
  }
}

/** Servers answer errors as plain text too (a proxy in between, a panic): such a body is kept as a string. */
async function bodyOf(response: TransportResponse): Promise<unknown> {
  if (response.status < 400 || (response.headers['content-type'] ?? 'application/json').includes('json')) return response.json();
  const pieces: Uint8Array[] = [];
  for await (const piece of response.bytes()) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

/** Items of typed lists come without apiVersion and kind, but a body must name them. */
function typed(ref: ResourceRef, object: { readonly apiVersion?: string; readonly kind?: string }): unknown {
  if (object.apiVersion !== undefined && object.kind !== undefined) return object;
  return { ...object, apiVersion: ref.group === '' ? ref.version : `${ref.group}/${ref.version}`, kind: ref.kind };
}

function namespaceOf(ref: ResourceRef, namespace: string | undefined): string | undefined {
  if (ref.namespaced && !namespace) throw new RangeError(`create ${ref.resource}: the namespace is missing`);
  return namespace;
}

function deleteOptions(query: DeleteQuery): unknown {
  const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun } = query;
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(propagationPolicy !== undefined && { propagationPolicy }),
    ...(preconditions !== undefined && { preconditions }),
    ...(dryRun !== undefined && { dryRun: [dryRun] }),
  };
}
