import type { JsonObject } from '@dure/api';
import type { Admission } from '../contract/admission.ts';
import type { ResourceCall } from '../request/call.ts';

/** Puts a request that opens a connection through admission: its object are the options that the query spelled. @throws {StatusError} */
export async function admitConnect(
  admission: Admission,
  { info, user, warn, annotate, signal }: ResourceCall,
  name: string,
  options: { readonly kind: string } & Readonly<Record<string, unknown>>,
  resourceKind: string,
): Promise<void> {
  const request = {
    operation: 'CONNECT',
    group: info.group,
    version: info.version,
    kind: resourceKind,
    resource: info.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name,
    bodyKind: { group: '', version: 'v1', kind: options.kind },
    object: { apiVersion: 'v1', ...options } as JsonObject,
    dryRun: false,
    user,
    warn,
    annotate,
  } as const;
  await admission.mutate(request, signal);
  await admission.validate(request, signal);
}
