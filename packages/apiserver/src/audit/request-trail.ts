import type { Json, JsonObject } from '@dure/api';
import { type Clock, rfc3339Micros } from '@dure/foundation';
import type { AuditFacts, AuditTrail } from '../contract/auditor.ts';
import type { UserInfo } from '../contract/user.ts';
import type { ApiRequest, ApiResponse } from '../http/exchange.ts';
import { userToJson } from '../reviews/user-json.ts';
import { whenClosed } from '../watch/feed.ts';
import type { AuditEvent, AuditStage } from './audit-event.ts';
import type { AuditDecision } from './audit-policy.ts';

/** A body's plain data. @throws {StatusError} It has none. */
export type DecodeSent = (bytes: Uint8Array, contentType: string | undefined) => unknown;

export interface RequestTrailOptions {
  readonly facts: AuditFacts;
  readonly user: UserInfo;
  /** Its level is not `None`. */
  readonly decision: AuditDecision;
  readonly clock: Clock;
  readonly decode: DecodeSent;
  record(event: AuditEvent): void;
}

/** Longer agents are cut, as upstream cuts them. */
const USER_AGENT_MAX = 1024;
const CHANGING_VERBS: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Makes the events of one request. */
export class RequestTrail implements AuditTrail {
  readonly request: ApiRequest;
  readonly #options: RequestTrailOptions;
  readonly #annotations: Record<string, string> = {};
  #impersonated: UserInfo | undefined;
  #sent: Uint8Array | undefined;

  constructor(options: RequestTrailOptions) {
    this.#options = options;
    const { request, info } = options.facts;
    // The name of what a create makes stands in its body, whatever the level.
    const wanted = info.kind === 'resource' && CHANGING_VERBS.has(info.verb) && (this.#keepsBodies || info.verb === 'create');
    this.request = wanted ? this.#tapped(request) : request;
  }

  received(): void {
    this.#record('RequestReceived', {});
  }

  impersonated(user: UserInfo): void {
    this.#impersonated = user;
  }

  annotate(key: string, value: string): void {
    this.#annotations[key] ??= value;
  }

  answered(response: ApiResponse, longRunning: boolean): ApiResponse {
    if (longRunning) this.#record('ResponseStarted', this.#outcome(response, false));
    const ended = (): void => this.#record('ResponseComplete', this.#outcome(response, true));
    const { body } = response;
    switch (body.kind) {
      case 'frames':
        return { ...response, body: { kind: 'frames', frames: whenClosed(body.frames, ended) } };
      case 'stream':
        return { ...response, body: { kind: 'stream', chunks: withEnd(body.chunks, ended) } };
      case 'taken':
        body.done.then(ended, ended);
        return response;
      default:
        ended();
        return response;
    }
  }

  panicked(response: ApiResponse): void {
    this.#record('Panic', this.#outcome(response, true));
  }

  /** There is no more to tell of it than that it was refused. */
  unauthenticated(response: ApiResponse): void {
    const { headers, certificate } = this.#options.facts.request;
    const tried = [...(certificate === undefined ? [] : ['x509']), ...(headers.authorization === undefined ? [] : ['bearer'])];
    const message =
      tried.length === 0 ? 'Authentication failed, no credentials provided' : `Authentication failed, attempted: ${tried.join(', ')}`;
    const outcome = this.#outcome(response, false);
    this.#record('ResponseStarted', { ...outcome, responseStatus: { ...(outcome.responseStatus as JsonObject), message } });
  }

  get #keepsBodies(): boolean {
    const { level } = this.#options.decision;
    return level === 'Request' || level === 'RequestResponse';
  }

  #tapped(request: ApiRequest): ApiRequest {
    return {
      ...request,
      body: async () => {
        this.#sent = await request.body();
        return this.#sent;
      },
    };
  }

  #record(stage: AuditStage, outcome: JsonObject): void {
    const { facts, user, decision, clock, record } = this.#options;
    if (decision.omitStages.has(stage)) return;
    const { request, info, id, receivedMs } = facts;
    const query = request.query.toString();
    const agent = (request.headers['user-agent'] ?? '').slice(0, USER_AGENT_MAX);
    // Names may come out of the body, which nobody has read yet when the request comes in.
    const sent = stage === 'RequestReceived' ? undefined : this.#sentObject();
    const { objectRef: _made, ...told } = outcome;
    record({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: decision.level,
      auditID: id,
      stage,
      requestURI: query === '' ? request.path : `${request.path}?${query}`,
      verb: info.verb,
      user: userToJson(user),
      ...(this.#impersonated === undefined ? {} : { impersonatedUser: userToJson(this.#impersonated) }),
      sourceIPs: sourceAddresses(request),
      ...(agent === '' ? {} : { userAgent: agent }),
      ...(info.kind === 'resource' ? { objectRef: objectReference(info, sent, outcome.responseObject) } : {}),
      ...told,
      ...(this.#keepsBodies && sent !== undefined ? { requestObject: this.#shown(sent) } : {}),
      requestReceivedTimestamp: rfc3339Micros(receivedMs),
      stageTimestamp: rfc3339Micros(clock.now()),
      ...(Object.keys(this.#annotations).length === 0 ? {} : { annotations: { ...this.#annotations } }),
    });
  }

  #sentObject(): Json | undefined {
    if (this.#sent === undefined || this.#sent.length === 0) return undefined;
    try {
      return this.#options.decode(this.#sent, this.#options.facts.request.headers['content-type']) as Json;
    } catch {
      return undefined; // The client is told what is wrong with it.
    }
  }

  /** @param whole Whether the answer's object may be there by now. */
  #outcome({ status, body }: ApiResponse, whole: boolean): JsonObject {
    const isResource = this.#options.facts.info.kind === 'resource';
    const object = body.kind === 'document' && (isResource || status >= 400) ? documentOf(body.document) : undefined;
    const failure = isStatus(object) && status >= 400 ? object : undefined;
    const responseStatus: JsonObject =
      failure === undefined
        ? { metadata: {}, code: status }
        : {
            metadata: {},
            status: 'Failure',
            ...(failure.message === undefined ? {} : { message: failure.message }),
            ...(failure.reason === undefined ? {} : { reason: failure.reason }),
            ...(failure.details === undefined ? {} : { details: failure.details }),
            code: status,
          };
    const shows = whole && isResource && this.#options.decision.level === 'RequestResponse' && object !== undefined;
    return { responseStatus, ...(shows ? { responseObject: this.#shown(object) } : {}) };
  }

  #shown(object: Json): Json {
    return this.#options.decision.omitManagedFields ? withoutManagedFields(object) : object;
  }
}

function documentOf(document: { value(): unknown }): Json | undefined {
  try {
    return document.value() as Json;
  } catch {
    return undefined; // Text, such as a Pod's log.
  }
}

function isStatus(value: Json | undefined): value is JsonObject {
  return isObject(value) && value.kind === 'Status' && value.status === 'Failure';
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withoutManagedFields(object: Json): Json {
  if (!isObject(object)) return object;
  const { metadata, items } = object;
  const kept = isObject(metadata) && metadata.managedFields !== undefined ? { ...metadata } : undefined;
  delete kept?.managedFields;
  return {
    ...object,
    ...(kept === undefined ? {} : { metadata: kept }),
    ...(Array.isArray(items) ? { items: items.map(withoutManagedFields) } : {}),
  };
}

/** What the request is about; a create names it in its body, or learns the name from the answer. */
function objectReference(
  info: Extract<AuditFacts['info'], { kind: 'resource' }>,
  sent: Json | undefined,
  answer: Json | undefined,
): JsonObject {
  const { resource, namespace, name, group, version, subresource } = info;
  const meta = isObject(sent) && isObject(sent.metadata) ? sent.metadata : {};
  const made = info.verb === 'create' && isObject(answer) && isObject(answer.metadata) ? answer.metadata : {};
  const first = (...values: readonly (Json | undefined)[]): string =>
    values.find((value): value is string => typeof value === 'string' && value !== '') ?? '';
  const fields = {
    resource,
    namespace: first(namespace, meta.namespace),
    name: first(name, meta.name, made.name),
    uid: first(meta.uid),
    apiGroup: group,
    apiVersion: version,
    resourceVersion: first(meta.resourceVersion),
    subresource,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

/** Whom the request came through, the first sender first; all but the last are hearsay. */
function sourceAddresses({ headers, remoteAddress }: ApiRequest): string[] {
  const said = [...(headers['x-forwarded-for'] ?? '').split(','), headers['x-real-ip'] ?? ''].map((address) => address.trim());
  const addresses = [...new Set(said.filter((address) => address !== ''))];
  if (remoteAddress !== '' && addresses.at(-1) !== remoteAddress) addresses.push(remoteAddress);
  return addresses;
}

/** The same items, and `ended` once when there are no more, whoever ends it and whether or not it was ever begun. */
function withEnd<T>(items: AsyncIterable<T>, ended: () => void): AsyncIterable<T> {
  let open = true;
  const end = (): void => {
    if (open) ended();
    open = false;
  };
  return {
    [Symbol.asyncIterator]() {
      const inner = items[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const result = await inner.next();
            if (result.done === true) end();
            return result;
          } catch (error) {
            end();
            throw error;
          }
        },
        async return(value?: unknown) {
          try {
            return (await inner.return?.(value)) ?? { done: true, value };
          } finally {
            end();
          }
        },
      };
    },
  };
}
