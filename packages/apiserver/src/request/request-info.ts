import { badRequest } from '@dure/api';

/** What a path and method ask for, before any kind is looked up. @see apiserver, `RequestInfoFactory`. */
export type RequestInfo = ResourceRequestInfo | PathRequestInfo;

export interface ResourceRequestInfo {
  readonly kind: 'resource';
  readonly path: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** '' for the resource itself. */
  readonly subresource: string;
  /** '' for cluster scope or all namespaces. */
  readonly namespace: string;
  /** '' for a collection. */
  readonly name: string;
  /** What follows the subresource (`proxy/PATH`, or what an extension server knows), still encoded, with its leading slash; '' if nothing. */
  readonly rest: string;
  readonly verb: string;
}

export interface PathRequestInfo {
  readonly kind: 'path';
  readonly path: string;
  /** The method in lower case. */
  readonly verb: string;
}

/** Longer paths name nothing. */
const PATH_LENGTH_MAX = 8192;
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);
const CONNECT_SUBRESOURCES = new Set(['proxy', 'log', 'exec', 'attach', 'portforward']);

/**
 * Takes a path apart. Pure.
 * @param path Without query, percent-encoded. @throws {StatusError} BadRequest for escapes that are none.
 */
export function parseRequestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  if (path.length > PATH_LENGTH_MAX) throw badRequest('the request path is too long');
  const segments = path.split('/').slice(1);
  if (segments.at(-1) === '') segments.pop();
  const [root] = segments;
  const prefix = root === 'api' ? 2 : root === 'apis' ? 3 : 0;
  // An empty segment names nothing: the path stays a path, and nothing is found there.
  if (prefix === 0 || segments.length <= prefix || segments.slice(0, prefix + 1).includes('')) return pathInfo(method, path);

  const group = root === 'apis' ? decode(segments[1]) : '';
  const version = decode(segments[prefix - 1]);
  let rest = segments.slice(prefix);
  let forcedVerb: string | undefined;
  if (rest.length > 1 && rest[0] === 'watch') {
    forcedVerb = 'watch';
    rest = rest.slice(1);
  }

  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 1) {
    namespace = decode(rest[1]);
    if (rest.length > 2 && !(NAMESPACE_SUBRESOURCES.has(rest[2] ?? '') && group === '')) rest = rest.slice(2);
  }
  const resource = decode(rest[0]);
  const name = decode(rest[1]);
  const subresource = decode(rest[2]);
  // What is proxied keeps its encoding and a trailing slash: both mean something to who answers.
  const restIndex = segments.length - rest.length + 3;
  const tail = subresource === 'proxy' ? path.split('/').slice(1 + restIndex) : rest.slice(3);
  const restPath = tail.length > 0 ? `/${tail.join('/')}` : '';
  if (subresource !== 'proxy' && rest.includes('')) return pathInfo(method, path);
  if (resource === 'namespaces' && name !== '' && group === '') namespace = name;

  return {
    kind: 'resource',
    path,
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    rest: restPath,
    verb: forcedVerb ?? verbOf(method, name, subresource, query),
  };
}

/** Whether the request may run without the server's deadline. */
export function isLongRunning(info: RequestInfo, query: URLSearchParams): boolean {
  if (info.kind === 'path') return false;
  if (info.verb === 'watch') return true;
  if (info.subresource === 'log') return isTrue(query.get('follow'));
  return CONNECT_SUBRESOURCES.has(info.subresource);
}

/** How Kubernetes reads a boolean of a query: present and not `0` or `false`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function verbOf(method: string, name: string, subresource: string, query: URLSearchParams): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    case 'GET':
    case 'HEAD':
      if (subresource !== '') return 'get';
      // A watch of one object by name is the old form of a watch with a field selector.
      if (isTrue(query.get('watch'))) return 'watch';
      return name === '' ? 'list' : 'get';
    default:
      return method.toLowerCase();
  }
}

function pathInfo(method: string, path: string): PathRequestInfo {
  return { kind: 'path', path: path === '' ? '/' : path, verb: method.toLowerCase() };
}

function decode(segment: string | undefined): string {
  if (segment === undefined || !segment.includes('%')) return segment ?? '';
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    throw badRequest(`the path segment ${JSON.stringify(segment)} is not percent-encoded UTF-8`);
  }
  if (decoded.includes('/') || decoded === '.' || decoded === '..' || decoded.includes('\0')) {
    throw badRequest(`the path segment ${JSON.stringify(segment)} is not a name`);
  }
  return decoded;
}
