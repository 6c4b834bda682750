import { createHash } from 'node:crypto';
import { type JsonObject, joinApiVersion, type KindRegistry, type SchemaBook, toJsonText } from '@dure/api';
import { parseAccept } from '../encoding/media-type.ts';
import { type ApiResponse, encodedDocument, jsonResponse } from '../http/exchange.ts';
import type { PathHandler } from '../request/call.ts';
import { unknownPath } from '../request/status-response.ts';
import { groupVersionPath, serverPaths } from './discovery-operations.ts';
import { encodeDocument } from './document-protobuf.ts';
import { NOTHING_ELSEWHERE, type OpenApiElsewhere } from './elsewhere.ts';
import { renderPaths } from './paths.ts';
import { type Dialect, renderSchemas } from './schemas.ts';
import { mergeSwagger } from './swagger-merge.ts';
import { encodeSwagger } from './swagger-protobuf.ts';

/** How clients ask for protobuf; those that were made later know the second form, in which it is answered. */
const PROTOBUF: Readonly<Record<Dialect, readonly [asked: string, answered: string]>> = {
  v2: ['application/com.github.proto-openapi.spec.v2@v1.0+protobuf', 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'],
  v3: ['application/com.github.proto-openapi.spec.v3@v1.0+protobuf', 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf'],
};

interface Rendered {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

/** The OpenAPI documents of the kinds that exist, built when asked for and kept until the kinds change. */
export class OpenApi {
  readonly #kinds: KindRegistry;
  readonly #book: SchemaBook;
  readonly #version: string;
  readonly #elsewhere: OpenApiElsewhere;
  readonly #rendered = new Map<string, Rendered>();

  constructor(kinds: KindRegistry, book: SchemaBook, version: string, elsewhere: OpenApiElsewhere = NOTHING_ELSEWHERE) {
    this.#kinds = kinds;
    this.#book = book;
    this.#version = version;
    this.#elsewhere = elsewhere;
    kinds.onChange(() => this.#rendered.clear());
    elsewhere.onChange(() => this.#rendered.clear());
  }

  /** Swagger 2.0 of everything. */
  v2(): Rendered {
    return this.#keep('v2', () => Buffer.from(toJsonText(this.#swagger())));
  }

  /** The same in the form that Go clients ask for. */
  v2Protobuf(): Rendered {
    return this.#keep('v2pb', () => encodeSwagger(this.#swagger()));
  }

  /** One group version, by its path (`api/v1`, `apis/apps/v1`). */
  v3(path: string): Rendered | undefined {
    const document = this.#document(path);
    return document === undefined ? undefined : this.#keep(path, () => Buffer.from(toJsonText(document())));
  }

  /** The same as protobuf. It is the same document, and so has the same hash. */
  v3Protobuf(path: string): Rendered | undefined {
    const [document, json] = [this.#document(path), this.v3(path)];
    if (document === undefined || json === undefined) return undefined;
    return { ...this.#keep(`${path} pb`, () => encodeDocument(document())), hash: json.hash };
  }

  #document(path: string): (() => JsonObject) | undefined {
    const [root, ...rest] = path.split('/');
    const group = root === 'apis' ? (rest[0] ?? '') : '';
    const version = (root === 'apis' ? rest[1] : rest[0]) ?? '';
    if (!this.#groupVersions().some((known) => known === path)) return undefined;
    return () => {
      const paths: JsonObject = groupVersionPath(group, version, 'v3');
      for (const definition of this.#kinds.list()) {
        if (definition.group !== group) continue;
        for (const served of definition.versions) {
          if (served.served && served.name === version) Object.assign(paths, renderPaths(definition, served, this.#book, 'v3'));
        }
      }
      return {
        openapi: '3.0.0',
        info: { title: 'Kubernetes', version: this.#version },
        paths,
        components: {
          schemas: renderSchemas(this.#kinds, this.#book, 'v3', (one) => one.group === group && one.version === version),
          securitySchemes: {
            BearerToken: { description: 'Bearer Token authentication', type: 'apiKey', name: 'authorization', in: 'header' },
          },
        },
      };
    };
  }

  /** Which documents there are, with addresses that change when they do. */
  index(): unknown {
    const paths: Record<string, { readonly serverRelativeURL: string }> = {};
    for (const path of this.#groupVersions()) {
      const hash = this.v3(path)?.hash ?? '';
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
    for (const [path, serverRelativeURL] of Object.entries(this.#elsewhere.urls())) paths[path] = { serverRelativeURL };
    return { paths: Object.fromEntries(Object.entries(paths).sort(([left], [right]) => (left < right ? -1 : 1))) };
  }

  #groupVersions(): readonly string[] {
    const paths = new Set<string>();
    for (const { group, versions } of this.#kinds.list()) {
      for (const { name, served } of versions)
        if (served && !this.#elsewhere.has(group, name)) paths.add(group === '' ? `api/${name}` : `apis/${joinApiVersion(group, name)}`);
    }
    return [...paths].sort();
  }

  /** Without the core one. */
  #groups(): readonly string[] {
    const groups = this.#groupVersions().flatMap((path) => (path.startsWith('apis/') ? [path.split('/')[1] ?? ''] : []));
    return [...new Set(groups)];
  }

  #swagger(): JsonObject {
    const paths: JsonObject = serverPaths(this.#groups(), 'v2');
    for (const definition of this.#kinds.list()) {
      for (const version of definition.versions)
        if (version.served && !this.#elsewhere.has(definition.group, version.name))
          Object.assign(paths, groupVersionPath(definition.group, version.name, 'v2'), renderPaths(definition, version, this.#book, 'v2'));
    }
    const own: JsonObject = {
      swagger: '2.0',
      info: { title: 'Kubernetes', version: this.#version },
      paths,
      definitions: renderSchemas(this.#kinds, this.#book, 'v2', ({ group, version }) => !this.#elsewhere.has(group, version)),
      securityDefinitions: {
        BearerToken: { description: 'Bearer Token authentication', type: 'apiKey', name: 'authorization', in: 'header' },
      },
      security: [{ BearerToken: [] }],
    };
    return this.#elsewhere.swaggers().reduce((merged, { swagger, groupVersions }) => mergeSwagger(merged, swagger, groupVersions), own);
  }

  #keep(key: string, render: () => Uint8Array): Rendered {
    const known = this.#rendered.get(key);
    if (known !== undefined) return known;
    const bytes = render();
    const rendered = { bytes, hash: createHash('sha512').update(bytes).digest('hex').slice(0, 64).toUpperCase() };
    this.#rendered.set(key, rendered);
    return rendered;
  }
}

/** Serves `/openapi/v2`, `/openapi/v3` and `/openapi/v3/...`. */
export function openApiHandler(openApi: OpenApi, elsewhere: OpenApiElsewhere = NOTHING_ELSEWHERE): PathHandler {
  return async ({ info, request, signal }) => {
    const path = info.path.replace(/\/$/, '');
    const accept = parseAccept(request.headers.accept ?? '');
    if (path === '/openapi/v2') {
      return wantsProtobuf(accept, 'v2')
        ? respond(openApi.v2Protobuf(), PROTOBUF.v2[1], request.headers)
        : respond(openApi.v2(), 'application/json', request.headers);
    }
    if (path === '/openapi/v3') return jsonResponse(200, openApi.index());
    const [, group, version] = /^\/openapi\/v3\/apis\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
    if (group !== undefined && version !== undefined && elsewhere.has(group, version)) {
      const sent = request.headers.accept ?? 'application/json';
      const { status, contentType, bytes } = await elsewhere.fetch(group, version, request.query.toString(), sent, signal);
      return {
        status,
        headers: { 'content-type': contentType, vary: 'Accept' },
        body: { kind: 'document', document: encodedDocument(bytes) },
      };
    }
    const name = path.replace('/openapi/v3/', '');
    const isProtobuf = wantsProtobuf(accept, 'v3');
    const document = isProtobuf ? openApi.v3Protobuf(name) : openApi.v3(name);
    if (document === undefined) throw unknownPath();
    const asked = request.query.get('hash');
    const cache: Record<string, string> =
      asked === document.hash ? { 'cache-control': 'public, immutable', expires: 'Thu, 31 Dec 2037 23:55:55 GMT' } : {};
    if (asked !== null && asked !== document.hash) {
      return { status: 301, headers: { location: `${path}?hash=${document.hash}` }, body: { kind: 'empty' } };
    }
    return respond(document, isProtobuf ? PROTOBUF.v3[1] : 'application/json', request.headers, cache);
  };
}

/** The first type that is known counts; everything else gets JSON. */
function wantsProtobuf(accept: readonly { readonly type: string }[], dialect: Dialect): boolean {
  const wanted = accept.find(({ type }) => [...PROTOBUF[dialect], 'application/json', '*/*'].includes(type))?.type;
  return wanted !== undefined && PROTOBUF[dialect].includes(wanted);
}

function respond(
  { bytes, hash }: Rendered,
  contentType: string,
  sent: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): ApiResponse {
  const etag = `"${hash}"`;
  const headers = { ...more, etag, vary: 'Accept', 'content-type': contentType };
  if (sent['if-none-match'] === etag) return { status: 304, headers, body: { kind: 'empty' } };
  return { status: 200, headers, body: { kind: 'document', document: encodedDocument(bytes) } };
}
