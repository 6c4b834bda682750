import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, type Identity, issueCertificate } from '@dure/pki';

export interface ExtensionServerOptions {
  readonly group: string;
  readonly version: string;
  /** The only names that its certificate has. */
  readonly dnsNames: readonly string[];
  /** PEM of the authority whose clients are believed to speak for others. */
  readonly frontProxyCa: string;
  /** Serves aggregated discovery; otherwise only the plain lists, as older servers do. */
  readonly aggregated?: boolean;
  /** Has no OpenAPI v3. */
  readonly older?: boolean;
}

/** What the server made of one request. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** The front proxy's own name. */
  readonly proxy: string;
  readonly user: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * An extension API server over real TLS, as one made with upstream's library behaves: whoever does not show the front proxy's certificate is
 * Unauthorized. It serves `flunders`, in memory, with list, get, create, delete and watch.
 */
export interface ExtensionServer extends AsyncDisposable {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  /** Its own. PEM. */
  readonly certificate: string;
  readonly seen: readonly SeenRequest[];
  /** What came on connections whose upgrade it refused, behind the refusal. */
  readonly smuggled: readonly Uint8Array[];
  /** Sends an event to every watcher. */
  emit(type: string, name: string): void;
  readonly watchers: number;
  /** While true every request is answered 500. */
  isBroken: boolean;
}

const context = { clock: systemClock, random: systemRandom };

export async function startExtensionServer(options: ExtensionServerOptions): Promise<ExtensionServer> {
  const { group, version, dnsNames, frontProxyCa } = options;
  const authority = await createAuthority({ commonName: 'extension-ca' }, context);
  const serving: Identity = await issueCertificate(
    authority,
    { commonName: 'extension', organizations: [], usages: ['server auth'], dnsNames },
    context,
  );
  const seen: SeenRequest[] = [];
  const objects = new Map<string, Record<string, unknown>>();
  const smuggled: Buffer[] = [];
  const watchers = new Set<ServerResponse>();
  const base = `/apis/${group}/${version}`;
  let isBroken = false;

  const flunder = (name: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    apiVersion: `${group}/${version}`,
    kind: 'Flunder',
    ...more,
    metadata: {
      ...(more.metadata as Record<string, unknown> | undefined),
      name,
      namespace: 'default',
      resourceVersion: '1',
      uid: `uid-${name}`,
    },
  });
  const resources = [
    {
      name: 'flunders',
      singularName: 'flunder',
      namespaced: true,
      kind: 'Flunder',
      shortNames: ['fl'],
      verbs: ['create', 'delete', 'get', 'list', 'watch'],
    },
    { name: 'flunders/status', singularName: '', namespaced: true, kind: 'Flunder', verbs: ['get'] },
  ];
  const definition = `${group.split('.').reverse().join('.')}.${version}.Flunder`;
  const gvk = [{ group, version, kind: 'Flunder' }];
  const schema = {
    type: 'object',
    description: 'A Flunder of the extension server.',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      color: { type: 'string', description: 'What it looks like.' },
      metadata: { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta' },
    },
    'x-kubernetes-group-version-kind': gvk,
  };
  const listOperation = {
    get: {
      operationId: 'listFlunder',
      'x-kubernetes-action': 'list',
      'x-kubernetes-group-version-kind': gvk[0],
      responses: { 200: { description: 'OK', schema: { $ref: `#/definitions/${definition}` } } },
    },
  };
  const documents: Record<string, unknown> = {
    '/apis': {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: [
        {
          name: group,
          versions: [{ groupVersion: `${group}/${version}`, version }],
          preferredVersion: { groupVersion: `${group}/${version}`, version },
        },
      ],
    },
    [base]: { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${version}`, resources },
    '/openapi/v2': {
      swagger: '2.0',
      info: { title: 'extension', version: '1' },
      paths: { [`${base}/namespaces/{namespace}/flunders`]: listOperation, '/version': { get: { responses: {} } } },
      definitions: {
        [definition]: schema,
        'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta': { type: 'object', properties: { more: { type: 'string' } } },
        Unused: { type: 'string' },
      },
    },
    '/openapi/v3': {
      paths: {
        [base.slice(1)]: { serverRelativeURL: `/openapi/v3${base}?hash=ABC` },
        version: { serverRelativeURL: '/openapi/v3/version?hash=X' },
      },
    },
    [`/openapi/v3${base}`]: {
      openapi: '3.0.0',
      info: { title: 'extension', version: '1' },
      paths: {},
      components: { schemas: { [definition]: schema } },
    },
  };

  const lines = ({ rawHeaders }: IncomingMessage, name: string): string[] =>
    rawHeaders.flatMap((header, index) => (index % 2 === 0 && header.toLowerCase() === name ? [rawHeaders[index + 1] ?? ''] : []));
  const note = (req: IncomingMessage): SeenRequest | undefined => {
    const socket = req.socket as TLSSocket;
    const proxy = /CN=(.*)/.exec(socket.getPeerX509Certificate()?.subject ?? '')?.[1] ?? '';
    if (!socket.authorized || proxy !== 'front-proxy-client') return undefined;
    const request = {
      method: req.method ?? '',
      url: req.url ?? '',
      proxy,
      user: lines(req, 'x-remote-user').join('|'),
      uid: lines(req, 'x-remote-uid').join('|'),
      groups: lines(req, 'x-remote-group'),
      headers: req.headers,
    };
    seen.push(request);
    return request;
  };
  const answer = (res: ServerResponse, status: number, body: unknown, contentType = 'application/json'): void => {
    const text = JSON.stringify(body);
    const etag = `"${text.length}"`;
    if (res.req.headers['if-none-match'] === etag) res.writeHead(304, { etag }).end();
    else res.writeHead(status, { 'content-type': contentType, ...(res.req.method === 'GET' ? { etag } : {}) }).end(text);
  };
  const failure = (res: ServerResponse, code: number, reason: string): void =>
    answer(res, code, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      reason,
      message: `the extension says ${reason}`,
      code,
    });

  const server = https.createServer(
    { cert: serving.certificatePem, key: serving.privateKeyPem, ca: frontProxyCa, requestCert: true, rejectUnauthorized: false },
    async (req, res) => {
      if (note(req) === undefined) return failure(res, 401, 'Unauthorized');
      if (isBroken) return failure(res, 500, 'InternalError');
      const { pathname, searchParams } = new URL(req.url ?? '/', 'https://extension');
      if (pathname === '/apis' && options.aggregated === true && String(req.headers.accept).includes('APIGroupDiscoveryList')) {
        const found = [
          {
            resource: 'flunders',
            responseKind: { group, version, kind: 'Flunder' },
            scope: 'Namespaced',
            singularResource: 'flunder',
            verbs: ['list'],
          },
        ];
        const items = [{ metadata: { name: group }, versions: [{ version, resources: found, freshness: 'Current' }] }];
        return answer(res, 200, { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items });
      }
      if (pathname.endsWith('/moved')) return res.writeHead(302, { location: 'https://elsewhere.example/' }).end('moved');
      const document = options.older === true && pathname.startsWith('/openapi/v3') ? undefined : documents[pathname];
      if (document !== undefined) return answer(res, 200, document);
      const [, name, subresource] = new RegExp(`^${base}(?:/namespaces/[^/]+)?/flunders(?:/([^/]+))?(?:/(.+))?$`).exec(pathname) ?? [
        '',
        undefined,
        'none',
      ];
      if (subresource !== undefined) return failure(res, 404, 'NotFound');
      if (req.method === 'GET' && searchParams.get('watch') !== null) {
        res.writeHead(200, { 'content-type': 'application/json' });
        res.flushHeaders();
        watchers.add(res);
        res.on('close', () => watchers.delete(res));
        return;
      }
      if (req.method === 'POST') {
        const chunks: Buffer[] = [];
        for await (const chunk of req) chunks.push(chunk as Buffer);
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { metadata: { name: string } };
        const made = flunder(body.metadata.name, body as unknown as Record<string, unknown>);
        objects.set(body.metadata.name, made);
        return answer(res, 201, made);
      }
      if (name === undefined) {
        return answer(res, 200, {
          kind: 'FlunderList',
          apiVersion: `${group}/${version}`,
          metadata: { resourceVersion: '1' },
          items: [...objects.values()],
        });
      }
      const found = objects.get(name);
      if (found === undefined) return failure(res, 404, 'NotFound');
      if (req.method === 'DELETE') objects.delete(name);
      return answer(res, 200, found);
    },
  );
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    const user = note(req)?.user ?? 'nobody';
    if (req.url?.includes('/refuse') === true) {
      // As a server that keeps the connection for the next request, which comes from whoever opened it.
      socket.on('data', (chunk: Buffer) => smuggled.push(chunk));
      if (head.length > 0) smuggled.push(head);
      if (req.url.endsWith('/moved')) {
        socket.write('HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      socket.write('HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n\r\nrefused');
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${req.headers.upgrade}\r\nx-user: ${user}\r\nx-path: ${req.url}\r\n\r\n`,
    );
    socket.write(head);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    ca: authority.certificatePem,
    certificate: serving.certificatePem,
    seen,
    smuggled,
    emit(type, name) {
      for (const watcher of watchers) watcher.write(`${JSON.stringify({ type, object: flunder(name) })}\n`);
    },
    get watchers() {
      return watchers.size;
    },
    get isBroken() {
      return isBroken;
    },
    set isBroken(value) {
      isBroken = value;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
