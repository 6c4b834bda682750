import { type CertificateSigningRequest, certificateSigningRequests } from '@dure/api';
import { messageOf, rfc3339Seconds } from '@dure/foundation';
import { parseRequest, parseUsage, type RequestInfo, type Usage } from '@dure/pki';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { CLIENT_KUBELET_SIGNER, CLIENT_SIGNER, KUBELET_SERVING_SIGNER } from './approval-plan.ts';
import { hasCondition, requestPem } from './csr-condition.ts';

const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown';
const YEAR_MS = 365 * 24 * 3_600_000;
const VALIDITY_MIN_MS = 600_000;

/** Makes a certificate of a request that was found to be in order. */
export type SignCertificateRequest = (
  requestPem: string,
  options: { readonly usages: readonly Usage[]; readonly validityMs: number },
) => Promise<string>;

export interface CsrSignerOptions {
  readonly signCertificateRequest: SignCertificateRequest;
  /** Longest life of a certificate; requests may ask for less. Default: one year. */
  readonly validityMs?: number;
}

/** Signs approved requests to the signers that Kubernetes itself knows. */
export function csrSigner({ signCertificateRequest, validityMs = YEAR_MS }: CsrSignerOptions): ControllerFactory {
  return (context) => {
    const { client, informers, clock } = context;
    const cache = informers.informer<CertificateSigningRequest>(certificateSigningRequests);
    const queue = new WorkQueue({ clock });
    cache.addHandler({ add: ({ metadata }) => queue.add(metadata.name), update: ({ metadata }) => queue.add(metadata.name) });

    const reconciler: Reconciler = async (name, signal) => {
      const request = cache.get(name);
      if (request === undefined || !hasCondition(request, 'Approved') || hasCondition(request, 'Denied') || hasCondition(request, 'Failed'))
        return {};
      if ((request.status?.certificate ?? '') !== '') return {};
      const pem = requestPem(request);
      let info: RequestInfo;
      let usages: readonly Usage[];
      try {
        info = await parseRequest(pem);
        usages = (request.spec.usages ?? []).map((usage) => parseUsage(usage));
      } catch (error) {
        await fail(request, messageOf(error), signal);
        return {};
      }
      const fault = faultOf(request, info, usages);
      if (fault === 'not ours') return {};
      if (fault !== undefined) {
        await fail(request, fault, signal);
        return {};
      }
      const askedMs = (request.spec.expirationSeconds ?? Number.POSITIVE_INFINITY) * 1000;
      const certificate = await signCertificateRequest(pem, {
        usages,
        validityMs: Math.min(Math.max(askedMs, VALIDITY_MIN_MS), validityMs),
      });
      const status = { ...request.status, certificate: Buffer.from(certificate, 'utf8').toString('base64') };
      await client.updateStatus<CertificateSigningRequest>(certificateSigningRequests, { ...request, status }, {}, signal);
      return {};
    };

    async function fail(request: CertificateSigningRequest, message: string, signal: AbortSignal): Promise<void> {
      const now = rfc3339Seconds(clock.now());
      const condition = {
        type: 'Failed',
        status: 'True',
        reason: 'SignerValidationFailure',
        message,
        lastUpdateTime: now,
        lastTransitionTime: now,
      };
      const status = { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] };
      await client.updateStatus<CertificateSigningRequest>(certificateSigningRequests, { ...request, status }, {}, signal);
    }

    return reconcilingController({ name: 'csr-signer', context, queue, reconciler, caches: [cache], workers: 2 });
  };
}

/** Why a request does not fit its signer. Approval says who may have a certificate; this, what kind of one the signer gives at all. Pure. */
function faultOf({ spec }: CertificateSigningRequest, info: RequestInfo, usages: readonly Usage[]): string | undefined {
  switch (spec.signerName) {
    case CLIENT_SIGNER:
      // Approving such a request must not make somebody the master of the cluster.
      if (info.organizations.includes('system:masters')) return 'use of the system:masters group is not allowed';
      return clientUsageFault(usages);
    case CLIENT_KUBELET_SIGNER:
      return nodeSubjectFault(info) ?? clientNameFault(info) ?? nodeUsageFault(usages, 'client auth');
    case KUBELET_SERVING_SIGNER:
      return nodeSubjectFault(info) ?? servingNameFault(info) ?? nodeUsageFault(usages, 'server auth');
    case LEGACY_SIGNER:
      // Whatever was approved: what it was good for before signers had names.
      return undefined;
    default:
      return 'not ours';
  }
}

function clientUsageFault(usages: readonly Usage[]): string | undefined {
  const other = usages.find((usage) => usage !== 'client auth' && usage !== 'digital signature' && usage !== 'key encipherment');
  if (other !== undefined) return `invalid usage for client certificate: ${other}`;
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth';
}

/** Exactly what a TLS end needs; RSA keys may also encipher. */
function nodeUsageFault(usages: readonly Usage[], role: 'client auth' | 'server auth'): string | undefined {
  const wanted = new Set(usages.filter((usage) => usage !== 'key encipherment'));
  const fits = wanted.size === 2 && wanted.has('digital signature') && wanted.has(role);
  return fits ? undefined : `usages did not match [${['digital signature', 'key encipherment', role].sort().join(' ')}]`;
}

function nodeSubjectFault({ commonName, organizations }: RequestInfo): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== 'system:nodes') return 'subject organization is not system:nodes';
  return commonName.startsWith('system:node:') ? undefined : 'subject common name does not begin with system:node:';
}

function servingNameFault({ dnsNames, ipAddresses, emailAddresses, uris }: RequestInfo): string | undefined {
  if (dnsNames.length + ipAddresses.length === 0) return 'DNS or IP subjectAltName is required';
  if (emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  return uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined;
}

function clientNameFault({ dnsNames, ipAddresses, emailAddresses, uris }: RequestInfo): string | undefined {
  if (dnsNames.length > 0) return 'DNS subjectAltNames are not allowed';
  if (emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (ipAddresses.length > 0) return 'IP subjectAltNames are not allowed';
  return uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined;
}
