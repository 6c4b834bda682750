import { type APIService, apiServices, type CustomResourceDefinition, customResourceDefinitions, type KubeObject } from '@dure/api';
import {
  createInformer,
  type DiscoveredResource,
  discoverResources,
  type Informer,
  type InformerHandler,
  withoutManagedFields,
} from '@dure/client';
import { isAbort } from '@dure/foundation';
import { WorkQueue } from '@dure/reconcile';
import type { ControllerContext } from './controller.ts';

/** Objects that come by the thousand, own nothing and are owned by nobody: watching them would only cost. */
const IGNORED: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events']);
/** In case a change of what is served was missed. */
const RECHECK_MS = 300_000;
const DISCOVER = 'discover';

interface Monitor {
  readonly resource: DiscoveredResource;
  readonly informer: Informer<KubeObject>;
  stop(): Promise<void>;
}

/** What a monitor tells, with the collection that the object is of. */
export type MonitorHandler = (resource: DiscoveredResource) => InformerHandler<KubeObject>;

export interface MonitorOptions {
  readonly handler: MonitorHandler;
  /** Told of objects whose kind is no longer served: whether they exist cannot be known. */
  readonly gone?: (objects: readonly KubeObject[]) => void;
  /** Told once the cache of a collection holds its first full state. */
  readonly synced?: (resource: DiscoveredResource) => void;
  /** Whether to watch a collection; asked again after {@link ResourceMonitors.refresh}. Default: all. */
  readonly wanted?: (resource: DiscoveredResource) => boolean;
}

/**
 * Watches every collection that is wanted and can be listed, watched and deleted, among them those that CustomResourceDefinitions and
 * aggregated APIs add and take away while it runs.
 */
export class ResourceMonitors {
  readonly #context: ControllerContext;
  readonly #options: MonitorOptions;
  readonly #running = new Map<string, Monitor>();
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext, options: MonitorOptions) {
    this.#context = context;
    this.#options = options;
    this.#queue = new WorkQueue({ clock: context.clock });
  }

  /** Follows what is served until `signal` aborts. @param onSynced Called once everything found first is in its cache. */
  async run(onSynced: () => void, signal: AbortSignal): Promise<void> {
    const { informers, log } = this.#context;
    const definitions = informers.informer<CustomResourceDefinition>(customResourceDefinitions);
    const services = informers.informer<APIService>(apiServices);
    const again = (): void => this.#queue.addAfter(DISCOVER, 50);
    const remove = [definitions, services].map((cache) => cache.addHandler({ add: again, update: again, delete: again }));
    this.#queue.add(DISCOVER);
    let synced = false;
    for (let key = await this.#queue.next(signal); key !== undefined; key = await this.#queue.next(signal)) {
      try {
        await this.#sync(signal);
        if (!synced) {
          await Promise.all([...this.#running.values()].map(({ informer }) => informer.whenSynced(signal)));
          synced = true;
          onSynced();
        }
        this.#queue.forget(key);
        this.#queue.addAfter(key, RECHECK_MS);
      } catch (error) {
        if (!signal.aborted || !isAbort(error, signal)) log.warn('could not watch all resources, trying again', { error });
        this.#queue.retry(key);
      }
      this.#queue.done(key);
    }
    for (const one of remove) one();
    await Promise.all([...this.#running.values()].map(({ stop }) => stop()));
    this.#queue.close();
  }

  /** Looks anew at what is wanted. */
  refresh(): void {
    this.#queue.add(DISCOVER);
  }

  /** What is known of a collection; `undefined` while it is not watched. */
  cache(group: string, resource: string): Informer<KubeObject> | undefined {
    return this.#running.get(`${group}/${resource}`)?.informer;
  }

  /** The collection that a reference's apiVersion and kind mean, in whatever version it is watched. */
  find(apiVersion: string, kind: string): DiscoveredResource | undefined {
    const [group] = apiVersion.includes('/') ? apiVersion.split('/') : [''];
    for (const { resource } of this.#running.values()) if (resource.kind === kind && resource.group === group) return resource;
    return undefined;
  }

  async #sync(signal: AbortSignal): Promise<void> {
    const { client } = this.#context;
    const { resources, failures } = await discoverResources(client, signal);
    const wanted = new Map<string, DiscoveredResource>(
      resources
        .filter(({ verbs }) => verbs.has('list') && verbs.has('watch') && verbs.has('delete'))
        .map((resource): readonly [string, DiscoveredResource] => [`${resource.group}/${resource.resource}`, resource])
        .filter(([id, resource]) => !IGNORED.has(id) && (this.#options.wanted?.(resource) ?? true)),
    );
    const unknown = new Set(failures.map(({ groupVersion }) => groupVersion.split('/')[0] ?? ''));
    for (const [id, monitor] of this.#running) {
      const { resource, informer, stop } = monitor;
      const next = wanted.get(id);
      // A group that did not answer is not gone.
      if (next === undefined ? unknown.has(resource.group) : next.version === resource.version && next.kind === resource.kind) continue;
      this.#running.delete(id);
      await stop();
      if (next === undefined) this.#options.gone?.(informer.list());
      else this.#switch(next, informer.list(), signal);
    }
    for (const [id, resource] of wanted) if (!this.#running.has(id)) this.#running.set(id, this.#start(resource, signal));
    if (failures.length > 0) throw new Error(`discovery failed for ${failures.map(({ groupVersion }) => groupVersion).join(', ')}`);
  }

  /** Another version of the same objects: what the new cache does not have was deleted in between. */
  #switch(resource: DiscoveredResource, before: readonly KubeObject[], signal: AbortSignal): void {
    const monitor = this.#start(resource, signal);
    this.#running.set(`${resource.group}/${resource.resource}`, monitor);
    monitor.informer.whenSynced(signal).then(
      () => {
        const still = new Set(monitor.informer.list().map(({ metadata }) => metadata.uid));
        for (const object of before) if (!still.has(object.metadata.uid)) this.#options.handler(resource).delete?.(object);
      },
      // Stopping: nobody judges any more.
      () => undefined,
    );
  }

  #start(resource: DiscoveredResource, signal: AbortSignal): Monitor {
    const monitor = this.#open(resource, signal);
    const { synced } = this.#options;
    if (synced === undefined) return monitor;
    monitor.informer.whenSynced(signal).then(
      () => synced(resource),
      // Stopping: nobody waits for it any more.
      () => undefined,
    );
    return monitor;
  }

  #open(resource: DiscoveredResource, signal: AbortSignal): Monitor {
    const { client, clock, random, log, informers } = this.#context;
    if (this.#isBuiltIn(resource)) {
      const informer = informers.informer(resource);
      const remove = informer.addHandler(this.#options.handler(resource));
      return { resource, informer, stop: async () => void remove() };
    }
    const informer = createInformer({ client, ref: resource, transform: withoutManagedFields, clock, random, log });
    informer.addHandler(this.#options.handler(resource));
    const stopping = new AbortController();
    const ended = informer.run(AbortSignal.any([signal, stopping.signal]));
    const stop = async (): Promise<void> => {
      stopping.abort();
      await ended;
    };
    return { resource, informer, stop };
  }

  /** Kinds that stay as long as the process can share its one cache. */
  #isBuiltIn({ group, version, resource }: DiscoveredResource): boolean {
    const { informers } = this.#context;
    if (informers.informer<CustomResourceDefinition>(customResourceDefinitions).get(`${resource}.${group}`) !== undefined) return false;
    const service = informers.informer<APIService>(apiServices).get(`${version}.${group}`);
    return service?.spec?.service === undefined && (!group.includes('.') || group.endsWith('.k8s.io'));
  }
}
