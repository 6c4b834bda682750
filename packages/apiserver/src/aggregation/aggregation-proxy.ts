import { StatusError } from '@dure/api';
import { messageOf } from '@dure/foundation';
import { remoteHeaders } from '../authentication/request-header.ts';
import type { ExtensionDialer } from '../connect/extension-dialer.ts';
import { forwardedHeaders, isRedirect, returnedHeaders, tunnel } from '../connect/tunnel.ts';
import { type ApiResponse, textResponse } from '../http/exchange.ts';
import type { ApiCall } from '../request/call.ts';
import type { ApiService } from './api-service.ts';

/** A client would follow with its credentials, wherever an extension server sends it. @see CVE-2022-3172 */
const NO_REDIRECT = 'the backend attempted to redirect this request, which is not permitted';

/**
 * Sends an authorized request to the extension API server of `service`, as the server's front proxy for the request's user, and passes its answer
 * on as it comes. What the client said of itself is dropped. Where nobody answers the client gets 503 as plain text, as from upstream.
 */
export async function forwardToExtension(
  dialer: ExtensionDialer,
  { name, target, isAvailable }: ApiService,
  call: ApiCall,
): Promise<ApiResponse> {
  if (target === undefined) throw new Error(`forward to ${name}: it is served by this server`);
  if (!isAvailable) return textResponse(503, 'service unavailable\n');
  const { request, user, signal } = call;
  const { method, remoteAddress, upgrade } = request;
  const host = `${target.name}.${target.namespace}.svc:${target.port}`;
  const query = request.query.toString();
  const path = `${request.path}${query === '' ? '' : `?${query}`}`;
  const headers = {
    ...forwardedHeaders(request.headers, upgrade !== undefined),
    ...(remoteAddress === '' ? {} : { 'x-forwarded-for': remoteAddress }),
    ...(request.headers.host === undefined ? {} : { 'x-forwarded-host': request.headers.host }),
    'x-forwarded-uri': request.path,
    'x-forwarded-proto': 'https',
    ...remoteHeaders(user),
  };
  try {
    if (upgrade !== undefined) {
      const socket = await dialer.connect(target, signal);
      return {
        status: 101,
        headers: {},
        body: {
          kind: 'taken',
          done: tunnel(upgrade, socket, { method, path, host, headers, redirectRefusal: NO_REDIRECT }, request.signal),
        },
      };
    }
    const hasBody = method !== 'GET' && method !== 'HEAD';
    const sent = { method, path, headers: { ...headers, host }, ...(hasBody ? { body: request.bodyStream() } : {}) };
    const response = await dialer.request(target, sent, signal);
    if (isRedirect(response.status, response.headers.location)) {
      await response.body[Symbol.asyncIterator]().return?.();
      return textResponse(502, NO_REDIRECT);
    }
    return { status: response.status, headers: returnedHeaders(response.headers), body: { kind: 'stream', chunks: response.body } };
  } catch (error) {
    signal.throwIfAborted();
    // The Service, or everybody behind it, has gone since it was last looked at.
    if (error instanceof StatusError) return textResponse(503, 'service unavailable\n');
    return textResponse(503, `error trying to reach service: ${messageOf(error)}\n`);
  }
}
