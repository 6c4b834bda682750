/** The text is not the PEM that was wanted, or what is in it cannot be read. */
export class PemError extends Error {
  override readonly name = 'PemError';
  readonly code = 'PKI_PEM';

  constructor(what: string, reason: string, options?: { cause: unknown }) {
    super(`read ${what}: ${reason}`, options);
  }
}

/** Whoever sent the request does not hold the key in it, or it was changed on the way. */
export class RequestSignatureError extends Error {
  override readonly name = 'RequestSignatureError';
  readonly code = 'PKI_REQUEST_SIGNATURE';

  constructor(subject: string, options?: { cause: unknown }) {
    super(`verify certificate request of "${subject}": its signature does not fit its key`, options);
  }
}

/** Why a certificate is not believed. */
export type DistrustReason =
  | 'not signed by the authority'
  | 'issuer is no authority'
  | 'not valid yet'
  | 'expired'
  | 'not made for this use';

/** The certificate is not believed, for `reason`. */
export class CertificateDistrustError extends Error {
  override readonly name = 'CertificateDistrustError';
  readonly code = 'PKI_CERTIFICATE_DISTRUST';
  readonly reason: DistrustReason;

  constructor(subject: string, reason: DistrustReason) {
    super(`verify certificate of "${subject}": ${reason}`);
    this.reason = reason;
  }
}

/** A usage that Kubernetes does not name. */
export class UnknownUsageError extends Error {
  override readonly name = 'UnknownUsageError';
  readonly code = 'PKI_UNKNOWN_USAGE';

  constructor(usage: string) {
    super(`read usage "${usage}": unknown`);
  }
}
