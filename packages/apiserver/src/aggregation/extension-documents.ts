import { createHash } from 'node:crypto';
import { equalJson, isJsonObject, type JsonObject, joinApiVersion, objectAt, objectsAt, stringAt } from '@dure/api';
import { type Clock, messageOf } from '@dure/foundation';
import { remoteHeaders } from '../authentication/request-header.ts';
import type { ExtensionDialer, ExtensionTarget } from '../connect/extension-dialer.ts';
import type { UserInfo } from '../contract/user.ts';
import type { ApiService } from './api-service.ts';
import { discoveredResources } from './discovered-resources.ts';

/** Whom the server itself is for extension API servers: with rights to everything, so that what it finds out does not hang on them. */
const AGGREGATOR: UserInfo = { name: 'system:kube-aggregator', groups: ['system:masters'] };
const ASK_TIMEOUT_MS = 5_000;
const DOCUMENT_BYTES_MAX = 32 * 1024 * 1024;
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** What an extension API server says of one of its group versions, as far as it was heard. */
export interface ExtensionDocument {
  /** In the form of aggregated discovery. */
  readonly resources: readonly JsonObject[];
  /** The last attempt to read them succeeded. */
  readonly isFresh: boolean;
  /** Swagger 2.0 of the whole server. */
  readonly swagger?: JsonObject | undefined;
  /** The address of the group version's OpenAPI v3 document at that server. */
  readonly openApiUrl?: string | undefined;
}

/** An answer of another kind than was asked for. */
class UnexpectedAnswerError extends Error {
  override readonly name = 'UnexpectedAnswerError';
  readonly code = 'EXTENSION_ANSWER';
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

interface Fetched {
  /** '' where the server gives none. */
  readonly etag: string;
  readonly digest: string;
  readonly value: JsonObject;
}

/** Asks extension API servers what they serve, and keeps what they said. */
export class ExtensionDocuments {
  readonly #dialer: ExtensionDialer;
  readonly #clock: Clock;
  readonly #documents = new Map<string, ExtensionDocument>();
  /** Answers by APIService and path: what did not change stays the very same value. */
  readonly #answers = new Map<string, Map<string, Fetched>>();
  readonly #listeners = new Set<() => void>();

  constructor(dialer: ExtensionDialer, clock: Clock) {
    this.#dialer = dialer;
    this.#clock = clock;
  }

  /** `undefined` where nothing was heard yet. */
  of({ name }: ApiService): ExtensionDocument | undefined {
    return this.#documents.get(name);
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Why the server does not serve the group version, as messages of APIServices say it; `undefined` where it does. */
  async check({ group, version, target }: ApiService, signal: AbortSignal): Promise<string | undefined> {
    if (target === undefined) return undefined;
    const path = `/apis/${group}/${version}`;
    const url = `https://${target.name}.${target.namespace}.svc:${target.port}${path}`;
    try {
      // Whether to believe the server is for those to decide who send something to it.
      const { status } = await this.#ask({ ...target, insecureSkipTLSVerify: true }, path, 'application/json', '', signal);
      return status >= 200 && status < 300 ? undefined : `failing or missing response from ${url}: bad status from ${url}: ${status}`;
    } catch (error) {
      signal.throwIfAborted();
      return `failing or missing response from ${url}: ${messageOf(error)}`;
    }
  }

  /** Reads everything anew; what cannot be read stays as it was, and is no longer fresh. */
  async refresh(service: ApiService, signal: AbortSignal): Promise<void> {
    const before = this.#documents.get(service.name);
    try {
      const resources = await this.#resources(service, signal);
      const [swagger, index] = await Promise.all([
        this.#optional(service, '/openapi/v2', signal),
        this.#optional(service, '/openapi/v3', signal),
      ]);
      const key = `apis/${joinApiVersion(service.group, service.version)}`;
      const openApiUrl = stringAt(objectAt(index, 'paths', key), 'serverRelativeURL');
      this.#put(service.name, { resources, isFresh: true, swagger, ...(openApiUrl === '' ? {} : { openApiUrl }) });
    } catch (error) {
      signal.throwIfAborted();
      if (before === undefined || before.isFresh) this.markStale(service.name);
      throw error;
    }
  }

  markStale(name: string): void {
    const before = this.#documents.get(name);
    if (before?.isFresh === false) return;
    this.#put(name, { ...before, resources: before?.resources ?? [], isFresh: false });
  }

  forget(name: string): void {
    this.#answers.delete(name);
    if (this.#documents.delete(name)) for (const listener of this.#listeners) listener();
  }

  /** A document of the server, as bytes. @throws {Error} It could not be had. */
  async fetch(
    { target }: ApiService,
    path: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly contentType: string; readonly bytes: Uint8Array }> {
    if (target === undefined) throw new Error(`fetch ${path}: this server serves it itself`);
    const { status, headers, bytes } = await this.#ask(target, path, accept, '', signal);
    return { status, contentType: String(headers['content-type'] ?? 'application/json'), bytes };
  }

  #put(name: string, document: ExtensionDocument): void {
    const before = this.#documents.get(name);
    this.#documents.set(name, document);
    const isSame =
      before !== undefined &&
      before.isFresh === document.isFresh &&
      equalJson(before.resources, document.resources) &&
      before.swagger === document.swagger &&
      before.openApiUrl === document.openApiUrl;
    if (!isSame) for (const listener of this.#listeners) listener();
  }

  /** From aggregated discovery, or from the list that every server has. */
  async #resources(service: ApiService, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const { group, version } = service;
    const all = await this.#read(service, '/apis', AGGREGATED, signal);
    if (stringAt(all, 'kind') === 'APIGroupDiscoveryList') {
      const versions = objectsAt(all, 'items').filter((item) => stringAt(item, 'metadata', 'name') === group);
      const found = versions.flatMap((item) => objectsAt(item, 'versions')).find((item) => stringAt(item, 'version') === version);
      return objectsAt(found, 'resources');
    }
    return discoveredResources(group, version, await this.#read(service, `/apis/${group}/${version}`, 'application/json', signal));
  }

  /** `undefined` where the server has no such document. */
  async #optional(service: ApiService, path: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    try {
      return await this.#read(service, path, 'application/json', signal);
    } catch (error) {
      if (error instanceof UnexpectedAnswerError) return undefined;
      throw error;
    }
  }

  async #read({ name, target }: ApiService, path: string, accept: string, signal: AbortSignal): Promise<JsonObject> {
    if (target === undefined) throw new Error(`read ${path}: this server serves it itself`);
    const known = this.#answers.get(name)?.get(path);
    const { status, headers, bytes } = await this.#ask(target, path, accept, known?.etag ?? '', signal);
    if (status === 304 && known !== undefined) return known.value;
    if (status !== 200) throw new UnexpectedAnswerError(`read ${path} of ${name}: the server answered ${status}`, status);
    const digest = createHash('sha256').update(bytes).digest('base64');
    if (known?.digest === digest) return known.value;
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (!isJsonObject(value)) throw new UnexpectedAnswerError(`read ${path} of ${name}: the answer is no object`, status);
    const answers = this.#answers.get(name) ?? new Map<string, Fetched>();
    this.#answers.set(name, answers);
    answers.set(path, { etag: typeof headers.etag === 'string' ? headers.etag : '', digest, value });
    return value;
  }

  async #ask(
    target: ExtensionTarget,
    path: string,
    accept: string,
    etag: string,
    signal: AbortSignal,
  ): Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, string | readonly string[]>>;
    readonly bytes: Uint8Array;
  }> {
    const ended = new AbortController();
    const late = new AbortController();
    this.#clock.sleep(ASK_TIMEOUT_MS, ended.signal).then(
      () => late.abort(new Error('context deadline exceeded')),
      () => undefined,
    );
    try {
      const headers = { accept, ...(etag === '' ? {} : { 'if-none-match': etag }), ...remoteHeaders(AGGREGATOR) };
      const response = await this.#dialer.request(target, { method: 'GET', path, headers }, AbortSignal.any([signal, late.signal]));
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of response.body) {
        size += chunk.length;
        if (size > DOCUMENT_BYTES_MAX)
          throw new UnexpectedAnswerError(`read ${path}: the answer is longer than ${DOCUMENT_BYTES_MAX} bytes`, 200);
        chunks.push(chunk);
      }
      return { status: response.status, headers: response.headers, bytes: Buffer.concat(chunks) };
    } finally {
      ended.abort();
    }
  }
}
