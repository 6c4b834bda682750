import { type JsonObject, type KindRegistry, type KubeObject, type SchemaBook, type ServedKind, successStatus, type Verb } from '@dure/api';
import { type Clock, rfc3339Seconds } from '@dure/foundation';
import { type DecodedBody, decodeBody } from '../encoding/body.ts';
import { negotiateOutput } from '../encoding/media-type.ts';
import type { Presentation, Presenter } from '../encoding/presenter.ts';
import type { ProtobufCodec } from '../encoding/protobuf-codec.ts';
import { parseIncludeObject } from '../encoding/table.ts';
import type { ApiResponse } from '../http/exchange.ts';
import { parseListOptions, parseResourceVersion } from '../registry/list-options.ts';
import { patchRequest } from '../registry/patch-request.ts';
import type { Reader } from '../registry/reader.ts';
import type { RegistryCall } from '../registry/scope.ts';
import { parseDeleteOptions, parseWriteOptions } from '../registry/write-options.ts';
import type { Writer } from '../registry/writer.ts';
import type { ResourceCall, ResourceHandler } from './call.ts';
import { unknownPath, unsupportedMethod } from './status-response.ts';

export interface ResourceHandlerDeps {
  readonly kinds: KindRegistry;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly presenter: Presenter;
  readonly protobuf: ProtobufCodec;
  readonly book: SchemaBook;
  readonly clock: Clock;
  /** By `group/resource/subresource`, or with `*` for group and resource; `group/resource/` for resources that are not stored. */
  readonly special: ReadonlyMap<string, ResourceHandler>;
}

/** Kinds whose delete answers with the object, as upstream's stores do. */
const RETURNS_DELETED: ReadonlySet<string> = new Set([
  '/pods',
  '/persistentvolumes',
  '/persistentvolumeclaims',
  '/podtemplates',
  '/resourcequotas',
  '/serviceaccounts',
  '/services',
]);
/** How many objects one deletecollection removes at the same time. */
const DELETE_WORKERS = 16;

/** Serves what a path under a group asks for: the verbs of stored kinds, and hands the rest to special handlers. */
export class ResourceRouter {
  readonly #deps: ResourceHandlerDeps;

  constructor(deps: ResourceHandlerDeps) {
    this.#deps = deps;
  }

  /** @throws {StatusError} */
  async serve(call: ResourceCall): Promise<ApiResponse> {
    const { info } = call;
    const kind = this.#deps.kinds.resource(info.group, info.version, info.resource);
    if (kind === undefined || (info.rest !== '' && info.subresource !== 'proxy')) throw unknownPath();
    const { definition } = kind;
    if (definition.namespaced && info.namespace === '' && (info.name !== '' || info.verb === 'create')) throw unknownPath();
    if (!definition.namespaced && info.namespace !== '' && !(info.resource === 'namespaces' && info.group === '')) throw unknownPath();

    const special =
      this.#deps.special.get(`${info.group}/${info.resource}/${info.subresource}`) ?? this.#deps.special.get(`*/*/${info.subresource}`);
    if (info.subresource !== '') {
      const subresource = definition.subresources.find(({ name }) => name === info.subresource);
      if (subresource === undefined || info.name === '') throw unknownPath();
      if (special !== undefined) return special(call, kind);
      if (!subresource.verbs.includes(info.verb as Verb)) throw unsupportedMethod(definition);
      if (info.subresource !== 'status') throw unknownPath();
    } else if (special !== undefined) {
      return special(call, kind);
    }
    if (info.subresource === '' && !definition.verbs.includes(info.verb as Verb)) throw unsupportedMethod(definition);
    if (kind.version.deprecated === true) {
      const usual = `${info.group === '' ? '' : `${info.group}/`}${info.version} ${definition.kind} is deprecated`;
      call.warn(kind.version.deprecationWarning ?? usual);
    }
    return this.#stored(call, kind);
  }

  /** The call in the registry's words. */
  registryCall(call: ResourceCall, kind: ServedKind): RegistryCall {
    const { info } = call;
    return {
      kind,
      namespace: kind.definition.namespaced ? info.namespace : '',
      name: info.name,
      subresource: info.subresource,
      user: call.user,
      signal: call.signal,
      warn: call.warn,
      annotate: call.annotate,
    };
  }

  /** How this request wants objects of `kind` shown. @throws {StatusError} NotAcceptable. */
  presentation(call: ResourceCall, kind: ServedKind): Presentation {
    const { request } = call;
    const form = negotiateOutput(request.headers.accept, request.query, request.headers['user-agent'] ?? '', {
      tables: call.info.verb === 'get' || call.info.verb === 'list' || call.info.verb === 'watch',
      metadataOnly: true,
      protobuf: this.#deps.protobuf.knows(
        kind.definition.group === '' ? kind.version.name : `${kind.definition.group}/${kind.version.name}`,
        kind.definition.kind,
      ),
    });
    return { kind, form, include: parseIncludeObject(request.query) };
  }

  /** Answers with an object of `kind`'s version. */
  present(call: ResourceCall, kind: ServedKind, object: JsonObject | KubeObject, status = 200): ApiResponse {
    const show = this.presentation(call, kind);
    return {
      status,
      headers: { 'content-type': show.form.contentType, 'cache-control': 'no-cache, private' },
      body: { kind: 'document', document: this.#deps.presenter.value(object, show) },
    };
  }

  /** Answers with a list of objects that are not stored. */
  presentList(call: ResourceCall, kind: ServedKind, objects: readonly JsonObject[]): ApiResponse {
    const show = this.presentation(call, kind);
    return {
      status: 200,
      headers: { 'content-type': show.form.contentType, 'cache-control': 'no-cache, private' },
      body: { kind: 'document', document: this.#deps.presenter.values(objects, show) },
    };
  }

  async #stored(call: ResourceCall, kind: ServedKind): Promise<ApiResponse> {
    const { reader, writer, presenter } = this.#deps;
    const { request, info } = call;
    const { query } = request;
    const agent = request.headers['user-agent'] ?? '';
    const target = this.registryCall(call, kind);
    const part = info.subresource === 'status' ? 'status' : 'main';
    const show = this.presentation(call, kind);
    const headers = { 'content-type': show.form.contentType, 'cache-control': 'no-cache, private' };
    switch (info.verb) {
      case 'get': {
        const stored = await reader.get(target, parseResourceVersion(query.get('resourceVersion') ?? ''));
        return { status: 200, headers, body: { kind: 'document', document: presenter.object(stored, show) } };
      }
      case 'list': {
        const result = await reader.list(target, parseListOptions(query, false));
        return { status: 200, headers, body: { kind: 'document', document: presenter.list(result, show) } };
      }
      case 'watch': {
        const items = await reader.watch(target, parseListOptions(query, true));
        const contentType = show.form.format === 'json' ? 'application/json' : `${show.form.contentType};stream=watch`;
        return {
          status: 200,
          headers: { ...headers, 'content-type': contentType },
          body: { kind: 'frames', frames: presenter.frames(items, show), begun: items.begun },
        };
      }
      case 'create': {
        const options = parseWriteOptions(query, agent, 'CreateOptions');
        const written = await writer.create(target, await this.body(call), options);
        return this.present(call, kind, written.object, 201);
      }
      case 'update': {
        const options = parseWriteOptions(query, agent, 'UpdateOptions');
        const written = await writer.update(target, await this.body(call), options, part);
        return this.present(call, kind, written.object, written.created ? 201 : 200);
      }
      case 'patch': {
        const { options, change } = patchRequest(target, request, await request.body(), part, this.#deps.book, () =>
          rfc3339Seconds(this.#deps.clock.now()),
        );
        const written = await writer.change(target, options, change);
        return this.present(call, kind, written.object, written.created ? 201 : 200);
      }
      case 'delete': {
        const options = parseDeleteOptions(query, await this.#optionalBody(call));
        const { removed, object } = await writer.delete(target, options);
        const { definition } = kind;
        if (!removed || RETURNS_DELETED.has(`${definition.group}/${definition.resource}`)) {
          return this.present(call, kind, object, 200);
        }
        const status = successStatus({
          name: info.name,
          ...(definition.group === '' ? {} : { group: definition.group }),
          kind: definition.resource,
          uid: object.metadata.uid,
        });
        return {
          status: 200,
          headers,
          body: { kind: 'document', document: presenter.plain(status as unknown as JsonObject, show.form) },
        };
      }
      case 'deletecollection': {
        const options = parseDeleteOptions(query, await this.#optionalBody(call));
        const list = await reader.list(target, parseListOptions(query, false));
        const queue = [...list.objects];
        const work = async (): Promise<void> => {
          for (let stored = queue.shift(); stored !== undefined; stored = queue.shift()) {
            const { name, namespace = '' } = stored.object.metadata;
            await writer.delete({ ...target, name, namespace }, options).catch((error: unknown) => {
              // Somebody else was faster.
              if ((error as { reason?: string }).reason !== 'NotFound') throw error;
            });
          }
        };
        await Promise.all(Array.from({ length: DELETE_WORKERS }, work));
        return { status: 200, headers, body: { kind: 'document', document: presenter.list(list, show) } };
      }
      default:
        throw unsupportedMethod(kind.definition);
    }
  }

  /** The request's decoded body. @throws {StatusError} */
  async body({ request }: ResourceCall): Promise<DecodedBody> {
    const bytes = await request.body();
    return decodeBody(bytes, request.headers['content-type'], this.#deps.protobuf);
  }

  async #optionalBody({ request }: ResourceCall): Promise<unknown> {
    const bytes = await request.body();
    return bytes.length === 0 ? undefined : decodeBody(bytes, request.headers['content-type'], this.#deps.protobuf).value;
  }
}
