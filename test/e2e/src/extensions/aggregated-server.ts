/**
 * An extension API server with one kind in memory: Clocks of clocks.example.com/v1. It trusts whoever the request-header CA vouches for, and asks the
 * main server (SubjectAccessReview, with its Pod's token) whether that user may do what it asks for, as the libraries for such servers do.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { answer, bodyOf, serve } from './https-server.ts';

interface Clock {
  readonly apiVersion: string;
  readonly kind: 'Clock';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion: string;
    readonly annotations: Record<string, string>;
  };
  readonly spec: { readonly zone?: string };
}

interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

const GROUP = 'clocks.example.com';
const VERSION = `${GROUP}/v1`;
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const RESOURCE = {
  name: 'clocks',
  singularName: 'clock',
  namespaced: true,
  kind: 'Clock',
  verbs: ['create', 'delete', 'get', 'list', 'watch'],
  shortNames: ['clk'],
};
const SCHEMA = {
  type: 'object',
  description: 'Clock tells the time somewhere.',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: { type: 'object', properties: { zone: { type: 'string', description: 'Zone that the clock shows the time of.' } } },
  },
  'x-kubernetes-group-version-kind': [{ group: GROUP, kind: 'Clock', version: 'v1' }],
};

const clocks = new Map<string, Clock>();
const watchers = new Set<{ readonly namespace: string; readonly response: ServerResponse }>();
let revision = 1;

const configuration = await main('GET', '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication');
const allowedNames = JSON.parse(configuration.data['requestheader-allowed-names']) as readonly string[];

serve(
  async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://here');
    if (pathname === '/readyz') return answer(response, 200, 'ok');
    const user = userOf(request);
    if (user === undefined) return answer(response, 401, status(401, 'Unauthorized', 'Unauthorized'));
    if (pathname === '/apis') return answer(response, 200, groupList());
    if (pathname === `/apis/${GROUP}`) return answer(response, 200, group());
    if (pathname === `/apis/${VERSION}`)
      return answer(response, 200, { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: VERSION, resources: [RESOURCE] });
    if (pathname === '/openapi/v2') return answer(response, 200, openapiV2());
    if (pathname === '/openapi/v3')
      return answer(response, 200, { paths: { [`apis/${VERSION}`]: { serverRelativeURL: `/openapi/v3/apis/${VERSION}?hash=1` } } });
    if (pathname === `/openapi/v3/apis/${VERSION}`) return answer(response, 200, openapiV3());
    const [, namespace = '', name = ''] = new RegExp(`^/apis/${VERSION}(?:/namespaces/([^/]+))?/clocks(?:/([^/]+))?$`).exec(pathname) ?? [];
    if (!pathname.includes('/clocks'))
      return answer(response, 404, status(404, 'NotFound', 'the server could not find the requested resource'));
    const verb = verbOf(request.method ?? '', name, searchParams);
    if (!(await mayDo(user, verb, namespace, name)))
      return answer(response, 403, status(403, 'Forbidden', `clocks is forbidden: User "${user.name}" cannot ${verb} resource "clocks"`));
    return clocksHandler(request, response, { verb, namespace, name, user });
  },
  // Who shows no certificate is not sent away: that is for the API to answer.
  { requestCert: true, rejectUnauthorized: false, ca: configuration.data['requestheader-client-ca-file'] },
);

async function clocksHandler(
  request: IncomingMessage,
  response: ServerResponse,
  { verb, namespace, name, user }: { verb: string; namespace: string; name: string; user: User },
): Promise<void> {
  const key = `${namespace}/${name}`;
  const found = clocks.get(key);
  if (verb === 'create') {
    const sent = await bodyOf(request);
    revision += 1;
    const metadata = { ...sent.metadata, namespace, resourceVersion: `${revision}`, annotations: { 'made-by': user.name } };
    const clock: Clock = { apiVersion: VERSION, kind: 'Clock', metadata, spec: sent.spec ?? {} };
    clocks.set(`${namespace}/${metadata.name}`, clock);
    tell('ADDED', clock);
    return answer(response, 201, clock);
  }
  if (verb === 'watch') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watcher = { namespace, response };
    watchers.add(watcher);
    response.on('close', () => watchers.delete(watcher));
    return;
  }
  if (verb === 'list') {
    const items = [...clocks.values()].filter(({ metadata }) => namespace === '' || metadata.namespace === namespace);
    return answer(response, 200, { apiVersion: VERSION, kind: 'ClockList', metadata: { resourceVersion: `${revision}` }, items });
  }
  if (found === undefined) return answer(response, 404, status(404, 'NotFound', `clocks.${GROUP} "${name}" not found`));
  if (verb === 'delete') {
    clocks.delete(key);
    tell('DELETED', found);
  }
  return answer(response, 200, found);
}

function tell(type: string, object: Clock): void {
  for (const { namespace, response } of watchers) {
    if (namespace === '' || namespace === object.metadata.namespace) response.write(`${JSON.stringify({ type, object })}\n`);
  }
}

/** Whom the main server says it speaks for, if it is the main server that speaks. */
function userOf(request: IncomingMessage): User | undefined {
  const socket = request.socket as TLSSocket;
  const { subject } = socket.getPeerCertificate();
  if (!socket.authorized || !allowedNames.includes(String(subject?.CN ?? ''))) return undefined;
  const groups = request.headersDistinct['x-remote-group'] ?? [];
  const name = request.headers['x-remote-user'];
  return typeof name === 'string' ? { name, groups } : undefined;
}

async function mayDo(user: User, verb: string, namespace: string, name: string): Promise<boolean> {
  const resourceAttributes = { group: GROUP, version: 'v1', resource: 'clocks', verb, namespace, name };
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user: user.name, groups: user.groups, resourceAttributes },
  };
  return (await main('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', review)).status.allowed === true;
}

function verbOf(method: string, name: string, query: URLSearchParams): string {
  if (method === 'POST') return 'create';
  if (method === 'DELETE') return 'delete';
  if (name !== '') return 'get';
  return ['1', 'true'].includes(query.get('watch') ?? '') ? 'watch' : 'list';
}

// biome-ignore lint/suspicious/noExplicitAny: what the main server says is read field by field.
function main(method: string, path: string, body?: object): Promise<any> {
  const headers = { authorization: `Bearer ${readFileSync(`${ACCOUNT}/token`, 'utf8')}`, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const asked = httpsRequest(
      `https://kubernetes.default.svc${path}`,
      { method, headers, ca: readFileSync(`${ACCOUNT}/ca.crt`) },
      (response) => {
        bodyOf(response).then(
          (value) => ((response.statusCode ?? 500) < 300 ? resolve(value) : reject(new Error(JSON.stringify(value)))),
          reject,
        );
      },
    );
    asked.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function group(): object {
  const version = { groupVersion: VERSION, version: 'v1' };
  return { kind: 'APIGroup', apiVersion: 'v1', name: GROUP, versions: [version], preferredVersion: version };
}

function groupList(): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: [group()] };
}

function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function openapiV2(): object {
  return { swagger: '2.0', info: { title: 'clocks', version: '1' }, paths: {}, definitions: { 'com.example.clocks.v1.Clock': SCHEMA } };
}

function openapiV3(): object {
  const path = `/apis/${VERSION}/namespaces/{namespace}/clocks`;
  const operation = {
    'x-kubernetes-group-version-kind': { group: GROUP, kind: 'Clock', version: 'v1' },
    responses: { 200: { description: 'OK' } },
  };
  return {
    openapi: '3.0.0',
    info: { title: 'clocks', version: '1' },
    paths: { [path]: { post: { ...operation, 'x-kubernetes-action': 'post' } } },
    components: { schemas: { 'com.example.clocks.v1.Clock': SCHEMA } },
  };
}
