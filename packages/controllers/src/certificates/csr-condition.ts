import type { CertificateSigningRequest } from '@dure/api';

export function hasCondition({ status }: CertificateSigningRequest, type: 'Approved' | 'Denied' | 'Failed'): boolean {
  return (status?.conditions ?? []).some((condition) => condition.type === type);
}

/** The request as PEM; the API carries it in base64. */
export function requestPem({ spec }: CertificateSigningRequest): string {
  return Buffer.from(spec.request, 'base64').toString('utf8');
}
