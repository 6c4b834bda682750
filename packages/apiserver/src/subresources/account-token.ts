import { serviceUnavailable } from '@dure/api';
import { metaOf } from '../registry/object-meta.ts';
import { parseWriteOptions } from '../registry/write-options.ts';
import type { ResourceHandler } from '../request/call.ts';
import { unsupportedMethod } from '../request/status-response.ts';
import { admitBody } from './admitted-body.ts';
import { readBody, transientKind } from './body-kind.ts';
import type { SubresourceDeps } from './deps.ts';

const TOKEN_REQUEST = transientKind('authentication.k8s.io', 'v1', 'TokenRequest', 'io.k8s.api.authentication.v1.TokenRequest');

/** POST `serviceaccounts/NAME/token`. */
export function accountTokenHandler({ router, reader, admission, book, tokens }: SubresourceDeps): ResourceHandler {
  return async (call, kind) => {
    if (call.info.verb !== 'create') throw unsupportedMethod(kind.definition);
    if (tokens === undefined) throw serviceUnavailable('this server issues no tokens');
    const target = router.registryCall(call, kind);
    const { object: account } = await reader.get(target, undefined);
    const request = await readBody(call, router, TOKEN_REQUEST, book);
    const meta = metaOf(request);
    meta.name = account.metadata.name;
    if (account.metadata.namespace !== undefined) meta.namespace = account.metadata.namespace;
    const options = parseWriteOptions(call.request.query, call.request.headers['user-agent'] ?? '', 'CreateOptions');
    await admitBody(admission, target, { kind: TOKEN_REQUEST, operation: 'CREATE', object: request }, options);
    const issued = await tokens.issue(account, request, call.user, call.signal, call.warn);
    return router.present(call, TOKEN_REQUEST, issued, 201);
  };
}
