import type { CertificateSigningRequest } from '@dure/api';
import type { RequestInfo } from '@dure/pki';

export const CLIENT_KUBELET_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet';
export const KUBELET_SERVING_SIGNER = 'kubernetes.io/kubelet-serving';
export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

const NODE_PREFIX = 'system:node:';
const NODES_GROUP = 'system:nodes';
const BOOTSTRAPPERS_GROUP = 'system:bootstrappers';

export type ApprovalPlan =
  | { readonly kind: 'approve'; readonly message: string }
  /** Not ours to decide: a person or somebody else's controller will. */
  | { readonly kind: 'leave' };

/**
 * Whether a request may be approved without a person: a bootstrapping machine or a node asking for the node's own client certificate, or a
 * node asking for a serving certificate in its own name. Pure.
 *
 * In its own name only: addresses and further names are what the node says of itself, and a node that said the API server's or another node's
 * would get a certificate to stand in for it. Who calls a node checks its name, whatever address it is reached at.
 */
export function planApproval({ spec }: CertificateSigningRequest, request: RequestInfo): ApprovalPlan {
  const { username = '', groups = [] } = spec;
  const { commonName, dnsNames, ipAddresses } = request;
  const isNodeSubject =
    commonName.startsWith(NODE_PREFIX) && commonName.length > NODE_PREFIX.length && same(request.organizations, [NODES_GROUP]);
  if (!isNodeSubject || request.emailAddresses.length + request.uris.length > 0) return { kind: 'leave' };

  if (spec.signerName === CLIENT_KUBELET_SIGNER) {
    if (dnsNames.length + ipAddresses.length > 0 || !hasUsages(spec.usages, 'client auth')) return { kind: 'leave' };
    if (username === commonName && groups.includes(NODES_GROUP))
      return { kind: 'approve', message: 'Auto approving self kubelet client certificate.' };
    if (groups.includes(BOOTSTRAPPERS_GROUP))
      return { kind: 'approve', message: 'Auto approving kubelet client certificate of a bootstrapping node.' };
    return { kind: 'leave' };
  }
  if (spec.signerName === KUBELET_SERVING_SIGNER) {
    if (username !== commonName || !groups.includes(NODES_GROUP) || !hasUsages(spec.usages, 'server auth')) return { kind: 'leave' };
    if (ipAddresses.length > 0 || !same(dnsNames, [commonName.slice(NODE_PREFIX.length)])) return { kind: 'leave' };
    return { kind: 'approve', message: 'Auto approving self kubelet serving certificate.' };
  }
  return { kind: 'leave' };
}

/** Exactly what a TLS end needs; RSA keys may also encipher. */
function hasUsages(usages: readonly string[] | undefined, role: 'client auth' | 'server auth'): boolean {
  const wanted = (usages ?? []).filter((usage) => usage !== 'key encipherment');
  return same(wanted, ['digital signature', role]);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && b.every((one) => a.includes(one));
}
