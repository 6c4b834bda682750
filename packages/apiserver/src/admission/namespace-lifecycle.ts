import { forbiddenRequest, type KubeObject, notFound, StatusError } from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type AdmissionPlugin, writes } from './admission-chain.ts';

const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);
/** Asking what one may do makes no content, so it needs no namespace that exists. */
const CONTENTLESS: ReadonlySet<string> = new Set(['localsubjectaccessreviews']);

interface NamespaceShape extends KubeObject {
  readonly status?: { readonly phase?: string };
}

/** Keeps new content out of namespaces that do not exist or are going, and the system's own namespaces from being deleted. */
export function namespaceLifecycle(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    async validate(request) {
      if (writes(request, 'namespaces')) refuseDeletingImmortal(request);
      if (
        request.namespace === '' ||
        request.resource === 'namespaces' ||
        request.operation !== 'CREATE' ||
        CONTENTLESS.has(request.resource)
      )
        return;
      let namespace = await reader.get('', 'namespaces', undefined, request.namespace);
      if (namespace === undefined) namespace = await reader.get('', 'namespaces', undefined, request.namespace, { fresh: true });
      if (namespace === undefined) throw notFound({ group: '', resource: 'namespaces' }, request.namespace);
      const { status } = namespace as NamespaceShape;
      if (namespace.metadata.deletionTimestamp !== undefined || status?.phase === 'Terminating') throw terminating(request);
    },
  };
}

function refuseDeletingImmortal({ operation, name, group, resource }: AdmissionRequest): void {
  if (operation === 'DELETE' && IMMORTAL.has(name)) throw forbiddenRequest({ group, resource }, name, 'this namespace may not be deleted');
}

function terminating({ group, resource, name, namespace }: AdmissionRequest): StatusError {
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const { status } = forbiddenRequest({ group, resource }, name, why);
  const cause = { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' };
  return new StatusError({ ...status, details: { ...status.details, causes: [cause] } });
}
