import { joinApiVersion } from '@dure/api';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { RequestInfo } from '../request/request-info.ts';
import { API_SERVICES, type ApiService, apiServiceOf } from './api-service.ts';

/** The APIServices that are stored, read from the cache whenever they changed. */
export class RegisteredServices {
  readonly #reads: ObjectReader;
  readonly #own: ReadonlySet<string>;
  #readAt = -1;
  #byGroupVersion: ReadonlyMap<string, ApiService> = new Map();

  /** @param own Group versions (`apps/v1`) that this server serves whatever APIServices say. */
  constructor(reads: ObjectReader, own: ReadonlySet<string>) {
    this.#reads = reads;
    this.#own = own;
  }

  /** In no order. Empty while the cache has not been filled. */
  list(): Iterable<ApiService> {
    return this.#current().values();
  }

  find(group: string, version: string): ApiService | undefined {
    return this.#current().get(joinApiVersion(group, version));
  }

  /** The APIService that sends requests for this group version to another server. */
  elsewhere(group: string, version: string): ApiService | undefined {
    const service = this.#own.has(joinApiVersion(group, version)) ? undefined : this.find(group, version);
    return service?.target === undefined ? undefined : service;
  }

  /** The same for what a request asks for, resources and documents alike. */
  answering(info: RequestInfo): ApiService | undefined {
    if (info.kind === 'resource') return info.group === '' ? undefined : this.elsewhere(info.group, info.version);
    const [, group, version] = /^\/apis\/([^/]+)\/([^/]+)(?:\/|$)/.exec(info.path) ?? [];
    return group === undefined || version === undefined ? undefined : this.elsewhere(group, version);
  }

  #current(): ReadonlyMap<string, ApiService> {
    const { group, resource } = API_SERVICES;
    const at = this.#reads.revisionOf(group, resource);
    if (at === this.#readAt) return this.#byGroupVersion;
    const objects = this.#reads.peek(group, resource);
    if (objects === undefined) return this.#byGroupVersion;
    const services = [...objects.values()].map(apiServiceOf);
    this.#byGroupVersion = new Map(services.map((service) => [joinApiVersion(service.group, service.version), service]));
    this.#readAt = at;
    return this.#byGroupVersion;
  }
}
