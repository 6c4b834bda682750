import { equalJson, type JsonObject, type KindRegistry, type KubeObject, objectAt, semanticEqual } from '@dure/api';
import { type Clock, isAbort, type Logger, messageOf, retryDelayMs, rfc3339Seconds } from '@dure/foundation';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { CacheSet } from '../registry/cache-set.ts';
import { type Condition, withCondition } from '../registry/conditions.ts';
import { followCollection } from '../registry/follow-collection.ts';
import { writeOwnStatus } from '../registry/own-status.ts';
import type { Writer } from '../registry/writer.ts';
import type { CacheEvent } from '../watch/watch-cache.ts';
import { API_SERVICES, type ApiService } from './api-service.ts';
import { failedDiscovery, LOCAL, PASSED, type ServiceShape, type SliceShape, whyUnreachable } from './availability.ts';
import type { ExtensionDocuments } from './extension-documents.ts';
import type { RegisteredServices } from './registered-services.ts';

export interface AvailabilityDeps {
  readonly kinds: KindRegistry;
  readonly caches: CacheSet;
  readonly reads: ObjectReader;
  readonly writer: Writer;
  readonly services: RegisteredServices;
  readonly documents: ExtensionDocuments;
  readonly clock: Clock;
  readonly log: Logger;
}

const MANAGER = 'kube-apiserver';
/** A server may go without any object saying so. */
const RECHECK_MS = 30_000;
const RETRY = { baseMs: 5, maxMs: RECHECK_MS };
/** Endpoints are chosen by chance; one that does not answer must not speak for all. */
const FURTHER_ATTEMPTS = 4;

/** What is being done about one APIService. */
interface Work {
  /** Consecutive checks without success. */
  failures: number;
  isRunning: boolean;
  /** It was marked while it was being looked at. */
  isStale: boolean;
}

/**
 * Says of every APIService whether it is available, and keeps what extension API servers say of themselves: whenever the APIService, its Service or
 * that one's endpoints change, and every 30 s.
 */
export class AvailabilityController {
  readonly #deps: AvailabilityDeps;
  readonly #works = new Map<string, Work>();
  readonly #running = new Set<Promise<void>>();
  #isSynced = false;

  constructor(deps: AvailabilityDeps) {
    this.#deps = deps;
  }

  /** Every APIService that was there at the start was read. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Until `signal` aborts; settles when everything that it started has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { group, resource } = API_SERVICES;
    await Promise.all([
      this.#follow(group, resource, signal, ({ deleted, object, previous }) => {
        // What servers write of each other must not make them answer each other: one may reach what another does not.
        if (!deleted && previous !== undefined && equalJson(specOf(object.object), specOf(previous.object))) return;
        this.#mark(object.object.metadata.name, signal);
      }),
      this.#follow('', 'services', signal, ({ object }) => {
        const { namespace, name } = object.object.metadata;
        this.#markBehind(namespace, name, signal);
      }),
      this.#follow('discovery.k8s.io', 'endpointslices', signal, (event) => {
        if (!this.#hasRemote()) return; // Slices change often; decoding them only to find nobody who cares costs.
        const { namespace, labels } = event.object.object.metadata;
        this.#markBehind(namespace, labels?.['kubernetes.io/service-name'], signal);
      }),
      this.#recheck(signal),
    ]);
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #follow(group: string, resource: string, signal: AbortSignal, event: (event: CacheEvent) => void): Promise<void> {
    const state = (): void => {
      this.#markAll(signal);
      if (resource === API_SERVICES.resource) this.#isSynced = true;
    };
    return followCollection(this.#deps, { group, resource, state, event }, signal);
  }

  async #recheck(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(RECHECK_MS, signal).catch(() => undefined);
      this.#markAll(signal);
    }
  }

  #hasRemote(): boolean {
    for (const { target } of this.#deps.services.list()) if (target !== undefined) return true;
    return false;
  }

  #markAll(signal: AbortSignal): void {
    for (const { name } of this.#deps.services.list()) this.#mark(name, signal);
  }

  #markBehind(namespace: string | undefined, service: string | undefined, signal: AbortSignal): void {
    for (const { name, target } of this.#deps.services.list()) {
      if (target !== undefined && target.namespace === namespace && target.name === service) this.#mark(name, signal);
    }
  }

  #mark(name: string, signal: AbortSignal): void {
    if (signal.aborted) return;
    const work = this.#works.get(name) ?? { failures: 0, isRunning: false, isStale: false };
    this.#works.set(name, work);
    work.isStale = true;
    if (work.isRunning) return;
    work.isRunning = true;
    this.#track(this.#work(name, work, signal));
  }

  async #work(name: string, work: Work, signal: AbortSignal): Promise<void> {
    while (work.isStale && !signal.aborted) {
      work.isStale = false;
      let isDone: boolean;
      try {
        isDone = await this.#settle(name, signal);
      } catch (error) {
        if (isAbort(error, signal)) break;
        isDone = false;
        this.#deps.log.warn('an API service could not be checked', { name, error: messageOf(error) });
      }
      work.failures = isDone ? 0 : work.failures + 1;
    }
    work.isRunning = false;
    if (signal.aborted || this.#works.get(name) !== work || work.failures === 0) return;
    const { clock } = this.#deps;
    this.#track(
      clock.sleep(retryDelayMs(work.failures, RETRY), signal).then(
        () => this.#mark(name, signal),
        () => undefined,
      ),
    );
  }

  #track(task: Promise<void>): void {
    this.#running.add(task);
    void task.finally(() => this.#running.delete(task));
  }

  /** False: it is worth trying again soon. */
  async #settle(name: string, signal: AbortSignal): Promise<boolean> {
    const { services, documents } = this.#deps;
    const service = [...services.list()].find((candidate) => candidate.name === name);
    if (service === undefined) {
      documents.forget(name);
      this.#works.delete(name);
      return true;
    }
    if (services.elsewhere(service.group, service.version) === undefined) {
      documents.forget(name);
      await this.#write(service, LOCAL, signal);
      return true;
    }
    const condition = await this.#judge(service, signal);
    // First what there is, then that it is there: who waited for the one finds the other.
    let isRead = true;
    if (condition === PASSED) {
      await documents.refresh(service, signal).catch((error: unknown) => {
        if (isAbort(error, signal)) throw error;
        isRead = false;
        this.#deps.log.warn('what an extension API server serves could not be read', { name, error: messageOf(error) });
      });
    } else documents.markStale(name);
    await this.#write(service, condition, signal);
    // Those that wait for an object to change are woken by it.
    return isRead && condition.reason !== 'FailedDiscoveryCheck';
  }

  async #judge(service: ApiService, signal: AbortSignal): Promise<Condition> {
    const { reads, documents } = this.#deps;
    const { target } = service;
    if (target === undefined) return LOCAL;
    const found = (await reads.get('', 'services', target.namespace, target.name)) as ServiceShape | undefined;
    const slices = (await reads.list('discovery.k8s.io', 'endpointslices', {
      namespace: target.namespace,
      where: ({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === target.name,
    })) as readonly SliceShape[];
    const why = whyUnreachable(target, found, slices);
    if (why !== undefined) return why;
    const first = await documents.check(service, signal);
    if (first === undefined) return PASSED;
    const further = await Promise.all(Array.from({ length: FURTHER_ATTEMPTS }, () => documents.check(service, signal)));
    return further.includes(undefined) ? PASSED : failedDiscovery(further.at(-1) ?? first);
  }

  async #write(service: ApiService, condition: Condition, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const now = rfc3339Seconds(clock.now());
    const status = objectAt(service.object as unknown as JsonObject, 'status') ?? {};
    if (semanticEqual(withCondition(status, condition, now), status)) return;
    const change = {
      ...API_SERVICES,
      object: service.object,
      manager: MANAGER,
      status: (old: JsonObject) => withCondition(objectAt(old, 'status') ?? {}, condition, now),
    };
    if ((await writeOwnStatus(this.#deps, change, signal)) && condition !== LOCAL)
      log.info('availability of an API service changed', { name: service.name, status: condition.status, reason: condition.reason });
  }
}

function specOf(object: KubeObject): JsonObject | undefined {
  return objectAt(object as unknown as JsonObject, 'spec');
}
