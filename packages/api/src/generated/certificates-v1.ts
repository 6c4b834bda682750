// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';

/** certificates.v1.CertificateSigningRequest. */
export interface CertificateSigningRequest extends KubeObject {
  readonly spec: CertificateSigningRequestSpec;
  readonly status: CertificateSigningRequestStatus;
}

/** certificates.v1.CertificateSigningRequestCondition. */
export interface CertificateSigningRequestCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastUpdateTime?: string;
  readonly lastTransitionTime?: string;
}

/** certificates.v1.CertificateSigningRequestSpec. */
export interface CertificateSigningRequestSpec {
  readonly request: string;
  readonly signerName: string;
  readonly expirationSeconds?: number;
  readonly usages?: readonly ('signing' | 'digital')[];
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** certificates.v1.CertificateSigningRequestStatus. */
export interface CertificateSigningRequestStatus {
  readonly conditions?: readonly CertificateSigningRequestCondition[];
  readonly certificate?: string;
}
