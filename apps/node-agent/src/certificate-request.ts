import { type CertificateSigningRequest, type CertificateSigningRequestSpec, certificateSigningRequests } from '@dure/api';
import type { Client } from '@dure/client';
import type { Clock } from '@dure/foundation';
import { createRequest, type RequestOptions } from '@dure/pki';

/** The cluster refuses the certificate; asking again for the same would be refused again. */
export class CertificateDeniedError extends Error {
  override readonly name = 'CertificateDeniedError';
  readonly code = 'AGENT_CERTIFICATE_DENIED';
}

/** A certificate and its key, PEM. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateWish {
  readonly signerName: 'kubernetes.io/kube-apiserver-client-kubelet' | 'kubernetes.io/kubelet-serving';
  readonly usages: readonly string[];
  readonly names: RequestOptions;
}

/** How long an answer is waited for before a new request is made: approval by hand may take its time. */
const ANSWER_MS_MAX = 15 * 60_000;

/** Makes a key, asks the cluster to certify it, and waits for the answer. @throws {CertificateDeniedError} @throws {StatusError} @throws {TransportError} */
export async function requestCertificate(
  client: Client,
  clock: Clock,
  wish: CertificateWish,
  signal: AbortSignal,
): Promise<IssuedCertificate> {
  const { requestPem, privateKeyPem } = await createRequest(wish.names);
  const spec = {
    request: Buffer.from(requestPem, 'utf8').toString('base64'),
    signerName: wish.signerName,
    usages: wish.usages,
  } as unknown as CertificateSigningRequestSpec;
  const created = await client.create(certificateSigningRequests, { metadata: { generateName: 'csr-' }, spec, status: {} }, {}, signal);
  const certificate = await answerTo(client, clock, created, signal);
  return { certificate, key: privateKeyPem };
}

async function answerTo(client: Client, clock: Clock, created: CertificateSigningRequest, signal: AbortSignal): Promise<string> {
  const { name, resourceVersion } = created.metadata;
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const follow = async (): Promise<string> => {
    let from = resourceVersion;
    for (;;) {
      const watch = client.watch(certificateSigningRequests, { fieldSelector: `metadata.name=${name}`, resourceVersion: from }, stop);
      for await (const event of watch) {
        if (event.type === 'BOOKMARK') continue;
        if (event.type === 'DELETED') throw new CertificateDeniedError(`certificate request ${name}: it was deleted before an answer`);
        from = event.object.metadata.resourceVersion;
        const certificate = certificateIn(event.object);
        if (certificate !== undefined) return certificate;
      }
      stop.throwIfAborted();
      // The server ended the watch: what happened in between is asked for.
      const now = await client.get(certificateSigningRequests, { name }, stop);
      from = now.metadata.resourceVersion;
      const certificate = certificateIn(now);
      if (certificate !== undefined) return certificate;
    }
  };
  const late = clock.sleep(ANSWER_MS_MAX, stop).then((): never => {
    throw new Error(`certificate request ${name}: nobody approved it within ${ANSWER_MS_MAX / 60_000} min`);
  });
  late.catch(() => undefined);
  const answer = follow();
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    done.abort();
  }
}

/** @throws {CertificateDeniedError} */
function certificateIn({ metadata, status }: CertificateSigningRequest): string | undefined {
  const refusal = status?.conditions?.find(({ type }) => type === 'Denied' || type === 'Failed');
  if (refusal !== undefined) {
    throw new CertificateDeniedError(
      `certificate request ${metadata.name}: ${refusal.type}: ${refusal.message ?? refusal.reason ?? 'no reason given'}`,
    );
  }
  return status?.certificate === undefined ? undefined : Buffer.from(status.certificate, 'base64').toString('utf8');
}
