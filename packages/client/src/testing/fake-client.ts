import {
  alreadyExists,
  conflict,
  type Draft,
  type KubeList,
  type KubeObject,
  notFound,
  parseFieldSelector,
  parseLabelSelector,
  type ResourceRef,
  StatusError,
  toJsonText,
  type WatchEvent,
} from '@dure/api';
import { aborted, type Clock, type Random, rfc3339Seconds, seededRandom, uuid } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import type { Client, DeleteQuery, ListQuery, ObjectKey, Patch, WatchQuery, WriteQuery } from '../client.ts';
import { keyOf } from '../resource-path.ts';
import { copyOf, deepFreeze, type FakeChange, FakeCollection } from './fake-collection.ts';
import { fakeDiscovery } from './fake-discovery.ts';
import { applyFakePatch } from './fake-patch.ts';

export interface FakeCall {
  readonly verb:
    | 'get'
    | 'list'
    | 'watch'
    | 'create'
    | 'update'
    | 'updateStatus'
    | 'patch'
    | 'delete'
    | 'deleteCollection'
    | 'createSubresource';
  readonly ref: ResourceRef;
  readonly name?: string;
  readonly namespace?: string;
  readonly subresource?: string;
  /** What was sent. */
  readonly body?: unknown;
}

/** Runs before a call takes effect. Throwing fails the call; waiting delays it. */
export type FakeHook = (call: FakeCall) => void | Promise<void>;

export interface FakeClientOptions {
  readonly clock?: Clock;
  readonly random?: Random;
}

type Mutable = Record<string, unknown> & { metadata: Record<string, unknown> };

const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * An API server of a few hundred lines, in memory: resourceVersions, watches, conflicts, selectors, generateName, status as a door of
 * its own, finalizers, grace of Pods, binding and the Namespace's finalize. It neither validates nor defaults, and knows no admission.
 * Everything it gives is deeply frozen.
 */
export class FakeClient implements Client {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #collections = new Map<string, FakeCollection>();
  readonly #hooks = new Set<FakeHook>();
  #revision = 0;
  /** Every call that reached the fake, oldest first; watches and reads too. */
  readonly calls: FakeCall[] = [];
  /** Awaited before each frame of a watch, for caches that lag behind. */
  watchDelay: ((ref: ResourceRef) => Promise<void>) | undefined;

  constructor({ clock = new FakeClock(), random = seededRandom(1) }: FakeClientOptions = {}) {
    this.#clock = clock;
    this.#random = random;
  }

  get revision(): string {
    return String(this.#revision);
  }

  /** @returns Takes the hook away again. */
  hook(hook: FakeHook): () => void {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  /** Calls that changed something, of one verb or all. */
  writes(verb?: FakeCall['verb']): readonly FakeCall[] {
    return this.calls.filter((call) => (verb === undefined ? !['get', 'list', 'watch'].includes(call.verb) : call.verb === verb));
  }

  /** Makes `ref` known to discovery. Any use of a kind does so too. */
  serve(...refs: readonly ResourceRef[]): void {
    for (const ref of refs) this.#collection(ref);
  }

  /** Stores `object` as it stands, status included, and gives what is stored. */
  put<T extends KubeObject>(ref: ResourceRef<T>, object: Draft<T>): T {
    const collection = this.#collection(ref);
    const draft = copyOf(object) as Mutable;
    const key = keyOf(draft as unknown as KubeObject);
    const old = collection.objects.get(key);
    draft.metadata = {
      uid: old?.metadata.uid ?? uuid(this.#random),
      creationTimestamp: rfc3339Seconds(this.#clock.now()),
      generation: 1,
      ...draft.metadata,
    };
    return this.#commit(collection, old === undefined ? 'ADDED' : 'MODIFIED', draft, old) as T;
  }

  /** What is stored now, without being counted as a call. */
  peek<T extends KubeObject>(ref: ResourceRef<T>, key: string): T | undefined {
    return this.#collection(ref).objects.get(key) as T | undefined;
  }

  peekAll<T extends KubeObject>(ref: ResourceRef<T>): readonly T[] {
    return [...this.#collection(ref).objects.values()] as T[];
  }

  /** Removes without grace or finalizers. */
  drop(ref: ResourceRef, key: string): void {
    const collection = this.#collection(ref);
    const old = collection.objects.get(key);
    if (old !== undefined) this.#commit(collection, 'DELETED', copyOf(old) as Mutable, old);
  }

  /** Forgets history, so that older watches expire. */
  compact(): void {
    for (const collection of this.#collections.values()) collection.compact(this.#revision);
  }

  async get<T extends KubeObject>(ref: ResourceRef<T>, { namespace, name }: ObjectKey): Promise<T> {
    await this.#called({ verb: 'get', ref, name, ...(namespace !== undefined && { namespace }) });
    return this.#existing(ref, namespace, name) as T;
  }

  async list<T extends KubeObject>(ref: ResourceRef<T>, query: ListQuery = {}): Promise<KubeList<T>> {
    await this.#called({ verb: 'list', ref, ...(query.namespace !== undefined && { namespace: query.namespace }) });
    const all = [...this.#collection(ref).objects.values()].filter(matcher(query)).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const from = query.continue === undefined ? 0 : Number(query.continue);
    const items = query.limit ? all.slice(from, from + query.limit) : all;
    const next = from + items.length;
    return {
      apiVersion: ref.version,
      kind: `${ref.kind}List`,
      metadata: {
        resourceVersion: this.revision,
        ...(next < all.length && { continue: String(next), remainingItemCount: all.length - next }),
      },
      items: items as unknown as T[],
    };
  }

  async *watch<T extends KubeObject>(
    ref: ResourceRef<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<WatchEvent<T>, { type: 'ERROR' }>, void, undefined> {
    await this.#called({ verb: 'watch', ref, ...(query.namespace !== undefined && { namespace: query.namespace }) });
    const collection = this.#collection(ref);
    const matches = matcher(query);
    let at = query.resourceVersion ? Number(query.resourceVersion) : this.#revision;
    if (query.sendInitialEvents) {
      at = this.#revision;
      for (const object of collection.objects.values()) if (matches(object)) yield { type: 'ADDED', object: object as T };
      const metadata = { resourceVersion: String(at), annotations: { 'k8s.io/initial-events-end': 'true' } };
      yield {
        type: 'BOOKMARK',
        object: { apiVersion: ref.version, kind: ref.kind, metadata: { name: '', uid: '', creationTimestamp: '', ...metadata } },
      };
    }
    while (!signal.aborted) {
      for (const change of collection.after(at)) {
        at = change.revision;
        const type = visibleType(change, matches);
        if (type === undefined) continue;
        if (this.watchDelay !== undefined) await Promise.race([this.watchDelay(ref), aborted(signal)]);
        if (signal.aborted) return;
        yield { type, object: change.object as T };
      }
      if (collection.after(at).length === 0) await collection.changed(signal);
    }
  }

  async create<T extends KubeObject>(ref: ResourceRef<T>, object: Draft<T>): Promise<T> {
    const draft = copyOf(object) as Mutable;
    const { metadata } = draft;
    if (!metadata.name && typeof metadata.generateName === 'string') metadata.name = metadata.generateName + this.#suffix();
    const { namespace, name } = metadata as { namespace?: string; name: string };
    await this.#called({ verb: 'create', ref, name, ...(namespace !== undefined && { namespace }), body: object });
    const collection = this.#collection(ref);
    if (collection.objects.has(keyOf(draft as unknown as KubeObject))) throw alreadyExists(ref, name);
    const going = ref.namespaced ? this.#collections.get('/namespaces')?.objects.get(namespace ?? '') : undefined;
    if (going?.metadata.deletionTimestamp !== undefined) throw namespaceTerminating(ref, name, namespace ?? '');
    if ('spec' in draft || ref.resource === 'namespaces') delete draft.status;
    if (ref.resource === 'namespaces') draft.spec = { ...(draft.spec as object | undefined), finalizers: ['kubernetes'] };
    if (ref.resource === 'pods' && ref.group === '') draft.status = { phase: 'Pending', ...(draft.status as object | undefined) };
    Object.assign(metadata, { uid: uuid(this.#random), creationTimestamp: rfc3339Seconds(this.#clock.now()), generation: 1 });
    return this.#commit(collection, 'ADDED', draft, undefined) as T;
  }

  async update<T extends KubeObject>(ref: ResourceRef<T>, object: T, _query?: WriteQuery): Promise<T> {
    return this.#replace('update', ref, object);
  }

  async updateStatus<T extends KubeObject>(ref: ResourceRef<T>, object: T, _query?: WriteQuery): Promise<T> {
    return this.#replace('updateStatus', ref, object);
  }

  async patch<T extends KubeObject>(
    ref: ResourceRef<T>,
    { namespace, name }: ObjectKey,
    patch: Patch,
    { subresource }: WriteQuery & { readonly subresource?: string } = {},
  ): Promise<T> {
    const where = { ref, name, ...(namespace !== undefined && { namespace }), ...(subresource !== undefined && { subresource }) };
    await this.#called({ verb: 'patch', ...where, body: patch });
    const patched = applyFakePatch(copyOf(this.#existing(ref, namespace, name)), patch) as unknown as KubeObject;
    return this.#store(ref, patched, subresource === 'status') as T;
  }

  async delete(ref: ResourceRef, { namespace, name }: ObjectKey, query: DeleteQuery = {}): Promise<unknown> {
    await this.#called({ verb: 'delete', ref, name, ...(namespace !== undefined && { namespace }), body: query });
    return this.#delete(ref, this.#existing(ref, namespace, name), query);
  }

  async deleteCollection(ref: ResourceRef, query: ListQuery & DeleteQuery): Promise<void> {
    await this.#called({
      verb: 'deleteCollection',
      ref,
      ...(query.namespace !== undefined && { namespace: query.namespace }),
      body: query,
    });
    for (const object of [...this.#collection(ref).objects.values()].filter(matcher(query))) this.#delete(ref, object, query);
  }

  async createSubresource<R = unknown>(ref: ResourceRef, { namespace, name }: ObjectKey, subresource: string, body: unknown): Promise<R> {
    await this.#called({ verb: 'createSubresource', ref, name, ...(namespace !== undefined && { namespace }), subresource, body });
    const existing = this.#existing(ref, namespace, name);
    if (subresource === 'binding') return this.#bind(ref, existing, body) as R;
    if (subresource === 'eviction') return this.#delete(ref, existing, (body as { deleteOptions?: DeleteQuery }).deleteOptions ?? {}) as R;
    throw notFound(ref, `${name}/${subresource}`);
  }

  async request<R = unknown>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<R> {
    const finalize = /^\/api\/v1\/namespaces\/([^/]+)\/finalize$/.exec(path);
    const approval = /^\/apis\/certificates\.k8s\.io\/v1\/certificatesigningrequests\/([^/]+)\/approval$/.exec(path);
    const resource = finalize === null ? 'certificatesigningrequests' : 'namespaces';
    const collection = [...this.#collections.values()].find(({ ref }) => ref.resource === resource);
    if (method === 'PUT' && (finalize ?? approval) !== null && collection !== undefined) {
      const call = {
        ref: collection.ref,
        name: (finalize ?? approval)?.[1] ?? '',
        subresource: finalize === null ? 'approval' : 'finalize',
      };
      await this.#called({ verb: 'createSubresource', ...call, body });
      return this.#store(collection.ref, body as KubeObject, approval !== null) as R;
    }
    const refs = [...this.#collections.values()].map(({ ref }) => ref);
    const answer = method === 'GET' ? fakeDiscovery(refs, path) : undefined;
    if (answer === undefined) throw notFound({ group: '', resource: '' }, path);
    return answer as R;
  }

  async #called(call: FakeCall): Promise<void> {
    this.calls.push(call);
    for (const hook of this.#hooks) await hook(call);
  }

  #collection(ref: ResourceRef): FakeCollection {
    const id = `${ref.group}/${ref.resource}`;
    let collection = this.#collections.get(id);
    if (collection === undefined) {
      collection = new FakeCollection(ref);
      this.#collections.set(id, collection);
    }
    return collection;
  }

  #existing(ref: ResourceRef, namespace: string | undefined, name: string): KubeObject {
    const object = this.#collection(ref).objects.get(namespace && ref.namespaced ? `${namespace}/${name}` : name);
    if (object === undefined) throw notFound(ref, name);
    return object;
  }

  async #replace<T extends KubeObject>(verb: 'update' | 'updateStatus', ref: ResourceRef<T>, object: T): Promise<T> {
    const { name, namespace } = object.metadata;
    await this.#called({ verb, ref, name, ...(namespace !== undefined && { namespace }), body: object });
    return this.#store(ref, object, verb === 'updateStatus') as T;
  }

  #store(ref: ResourceRef, sent: KubeObject, isStatus: boolean): KubeObject {
    const { name, namespace, uid, resourceVersion } = sent.metadata;
    const collection = this.#collection(ref);
    const old = this.#existing(ref, namespace, name);
    if (uid && uid !== old.metadata.uid)
      throw conflict(ref, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`);
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(ref, name);
    const next = copyOf(
      isStatus ? { ...old, status: (sent as { status?: unknown }).status } : { ...sent, status: (old as { status?: unknown }).status },
    ) as Mutable;
    if (!('spec' in old) && !isStatus && !('status' in old)) next.status = (sent as { status?: unknown }).status;
    if (next.status === undefined) delete next.status;
    next.metadata = {
      ...next.metadata,
      uid: old.metadata.uid,
      creationTimestamp: old.metadata.creationTimestamp,
      generation: old.metadata.generation,
    };
    if (old.metadata.deletionTimestamp !== undefined) next.metadata.deletionTimestamp = old.metadata.deletionTimestamp;
    if (isStatus) Object.assign(next.metadata, pick(sent.metadata, ['labels', 'annotations']));
    if (toJsonText(specOf(old)) !== toJsonText(specOf(next))) next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    next.metadata.resourceVersion = old.metadata.resourceVersion;
    if (canonical(next) === canonical(old)) return old;
    if (next.metadata.deletionTimestamp !== undefined && isFinished(next)) return this.#commit(collection, 'DELETED', next, old);
    return this.#commit(collection, 'MODIFIED', next, old);
  }

  #delete(ref: ResourceRef, old: KubeObject, { preconditions, propagationPolicy, gracePeriodSeconds }: DeleteQuery): KubeObject {
    const { name } = old.metadata;
    if (preconditions?.uid !== undefined && preconditions.uid !== old.metadata.uid) {
      throw conflict(ref, name, `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${old.metadata.uid}`);
    }
    if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== old.metadata.resourceVersion) {
      throw conflict(ref, name, `Precondition failed: ResourceVersion in precondition: ${preconditions.resourceVersion}`);
    }
    const next = copyOf(old) as Mutable;
    const finalizers = new Set(old.metadata.finalizers ?? []);
    if (propagationPolicy === 'Foreground') finalizers.add('foregroundDeletion');
    if (propagationPolicy === 'Orphan') finalizers.add('orphan');
    if (finalizers.size > 0) next.metadata.finalizers = [...finalizers];
    const graceSeconds = ref.resource === 'pods' ? podGraceSeconds(old, gracePeriodSeconds) : 0;
    next.metadata.deletionTimestamp ??= rfc3339Seconds(this.#clock.now() + graceSeconds * 1000);
    next.metadata.deletionGracePeriodSeconds = Math.min(
      graceSeconds,
      (next.metadata.deletionGracePeriodSeconds as number | undefined) ?? graceSeconds,
    );
    if (ref.resource === 'namespaces') next.status = { ...(next.status as object | undefined), phase: 'Terminating' };
    if (isFinished(next)) return this.#commit(this.#collection(ref), 'DELETED', next, old);
    next.metadata.resourceVersion = old.metadata.resourceVersion;
    if (canonical(next) === canonical(old)) return old;
    return this.#commit(this.#collection(ref), 'MODIFIED', next, old);
  }

  #bind(ref: ResourceRef, pod: KubeObject, binding: unknown): unknown {
    const next = copyOf(pod) as Mutable & { spec: Record<string, unknown>; status?: Record<string, unknown> };
    const { target, metadata } = binding as { target: { name: string }; metadata?: { uid?: string } };
    const { name } = pod.metadata;
    if (metadata?.uid && metadata.uid !== pod.metadata.uid) throw conflict({ group: '', resource: 'pods/binding' }, name, 'UID mismatch');
    if (next.spec.nodeName)
      throw conflict(
        { group: '', resource: 'pods/binding' },
        name,
        `pod ${name} is already assigned to node "${String(next.spec.nodeName)}"`,
      );
    if (pod.metadata.deletionTimestamp)
      throw conflict({ group: '', resource: 'pods/binding' }, name, `pod ${name} is being deleted, cannot be assigned to a host`);
    next.spec.nodeName = target.name;
    const others = ((next.status?.conditions as { type: string }[] | undefined) ?? []).filter(({ type }) => type !== 'PodScheduled');
    next.status = {
      ...next.status,
      conditions: [...others, { type: 'PodScheduled', status: 'True', lastTransitionTime: rfc3339Seconds(this.#clock.now()) }],
    };
    this.#commit(this.#collection(ref), 'MODIFIED', next, pod);
    return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
  }

  #commit(collection: FakeCollection, type: FakeChange['type'], object: Mutable, old: KubeObject | undefined): KubeObject {
    this.#revision += 1;
    object.metadata.resourceVersion = String(this.#revision);
    const { ref } = collection;
    const frozen = deepFreeze({
      ...object,
      apiVersion: ref.group === '' ? ref.version : `${ref.group}/${ref.version}`,
      kind: ref.kind,
    }) as unknown as KubeObject;
    collection.commit(keyOf(frozen), { revision: this.#revision, type, object: frozen, old });
    return frozen;
  }

  #suffix(): string {
    return Array.from({ length: 5 }, () => NAME_LETTERS[this.#random.integer(NAME_LETTERS.length)]).join('');
  }
}

function matcher({ namespace, labelSelector, fieldSelector }: WatchQuery | ListQuery): (object: KubeObject) => boolean {
  const labels = labelSelector ? parseLabelSelector(labelSelector) : undefined;
  const fields = fieldSelector ? parseFieldSelector(fieldSelector) : undefined;
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (labels?.matches(object.metadata.labels ?? {}) ?? true) &&
    (fields?.matches(fieldsOf(object, fields.requirements)) ?? true);
}

/** Any path may be selected: the fake does not know which the server indexes. */
function fieldsOf(object: KubeObject, requirements: readonly { readonly field: string }[]): Record<string, string> {
  return Object.fromEntries(
    requirements.map(({ field }) => {
      let value: unknown = object;
      for (const part of field.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
      return [field, value === undefined ? '' : String(value)];
    }),
  );
}

function visibleType({ type, object, old }: FakeChange, matches: (object: KubeObject) => boolean): FakeChange['type'] | undefined {
  const was = old !== undefined && matches(old);
  const is = type !== 'DELETED' && matches(object);
  if (was) return is ? 'MODIFIED' : 'DELETED';
  return is ? 'ADDED' : undefined;
}

function podGraceSeconds(pod: KubeObject, asked: number | undefined): number {
  const { spec, status } = pod as { spec?: { nodeName?: string; terminationGracePeriodSeconds?: number }; status?: { phase?: string } };
  if (!spec?.nodeName || status?.phase === 'Succeeded' || status?.phase === 'Failed') return 0;
  return asked ?? spec.terminationGracePeriodSeconds ?? 30;
}

function isFinished({ metadata, spec }: Mutable): boolean {
  const waiting = [
    ...((metadata.finalizers as string[] | undefined) ?? []),
    ...((spec as { finalizers?: string[] } | undefined)?.finalizers ?? []),
  ];
  return waiting.length === 0 && !metadata.deletionGracePeriodSeconds;
}

function namespaceTerminating(ref: ResourceRef, name: string, namespace: string): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    reason: 'Forbidden',
    code: 403,
    message: `${ref.resource} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    details: {
      name,
      kind: ref.resource,
      causes: [{ reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }],
    },
  });
}

function specOf(object: unknown): unknown {
  return (object as { spec?: unknown }).spec;
}

function pick(from: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(
          Object.entries(inner)
            .filter(([, one]) => one !== undefined)
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : inner,
  );
}
