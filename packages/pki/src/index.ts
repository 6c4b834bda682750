export {
  type Authority,
  type AuthorityOptions,
  BACKDATE_MS,
  type CertificateOptions,
  createAuthority,
  type Identity,
  type IssuingContext,
  issueCertificate,
  type SigningOptions,
  signRequest,
} from './authority.ts';
export {
  type CertificateExpectation,
  type CertificateInfo,
  certificatePin,
  matchesPin,
  parseCertificate,
  splitBundle,
  verifyCertificate,
} from './certificate.ts';
export { CertificateDistrustError, type DistrustReason, PemError, RequestSignatureError, UnknownUsageError } from './errors.ts';
export { createKeyPair, type KeyPair, keyId, publicKeyOf } from './key-pair.ts';
export { type CreatedRequest, createRequest, parseRequest, type RequestInfo, type RequestOptions } from './request.ts';
export type { AlternativeNames, Subject } from './subject.ts';
export { parseUsage, type Usage } from './usage.ts';
