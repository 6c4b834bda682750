import { createHash } from 'node:crypto';
import { notAcceptable } from '@dure/api';
import { parseAccept } from '../encoding/media-type.ts';
import { type ApiResponse, encodedDocument } from '../http/exchange.ts';
import type { ApiCall, PathHandler } from '../request/call.ts';
import { unknownPath } from '../request/status-response.ts';
import type { Discovery } from './discovery.ts';

/** Serves `/api`, `/apis` and what lies under them that is no resource. */
export function discoveryHandler(discovery: Discovery, advertisedAddress: () => string): PathHandler {
  return async (call) => {
    const segments = call.info.path.replace(/\/$/, '').split('/').slice(1);
    if (segments.includes('')) throw unknownPath();
    const [root, first, second] = segments;
    if (call.request.method !== 'GET' && call.request.method !== 'HEAD') throw unknownPath();
    if (segments.length === 1) {
      const form = aggregatedForm(call);
      if (form !== undefined) {
        const contentType = `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
        return respond(call, discovery.aggregated(root === 'api', form), contentType);
      }
      return respond(call, root === 'api' ? discovery.apiVersions(advertisedAddress()) : discovery.groupList());
    }
    const found =
      root === 'api'
        ? segments.length === 2 && discovery.resourceList('', first ?? '')
        : segments.length === 2
          ? discovery.group(first ?? '')
          : segments.length === 3 && discovery.resourceList(first ?? '', second ?? '');
    if (found === undefined || found === false) throw unknownPath();
    return respond(call, found);
  };
}

/** Which aggregated form the client likes best, or `undefined` for the plain one. */
function aggregatedForm({ request }: ApiCall): 'v2' | 'v2beta1' | undefined {
  const accept = request.headers.accept;
  if (accept === undefined || accept === '') return undefined;
  const ranges = parseAccept(accept);
  for (const { type, parameters } of ranges) {
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    if (parameters.as === undefined) return undefined;
    if (parameters.as !== 'APIGroupDiscoveryList' || parameters.g !== 'apidiscovery.k8s.io') continue;
    if (parameters.v === 'v2' || parameters.v === 'v2beta1') return parameters.v;
  }
  if (ranges.some(({ type }) => type === 'application/vnd.kubernetes.protobuf' || type === 'application/yaml')) return undefined;
  throw notAcceptable(['application/json']);
}

function respond({ request }: ApiCall, value: unknown, contentType = 'application/json'): ApiResponse {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  const headers = { etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: { kind: 'empty' } };
  return {
    status: 200,
    headers: { ...headers, 'content-type': contentType },
    body: { kind: 'document', document: encodedDocument(bytes) },
  };
}
