import { createHash, timingSafeEqual } from 'node:crypto';
import { CertificateDistrustError, type DistrustReason, PemError } from './errors.ts';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from './peculiar.ts';
import { type AlternativeNames, parseAlternativeNames, parseSubject, type Subject } from './subject.ts';
import { type Usage, usagesOf } from './usage.ts';

/** What a certificate says. */
export interface CertificateInfo extends Subject, AlternativeNames {
  readonly issuer: Subject;
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly usages: readonly Usage[];
  readonly isAuthority: boolean;
  /** SHA-256 of the whole certificate, hexadecimal. */
  readonly fingerprint: string;
  readonly publicKeyPem: string;
}

/** What the first certificate in `pem` says; nothing about whether to believe it. @throws {PemError} */
export function parseCertificate(pem: string): CertificateInfo {
  const certificate = readCertificate(pem);
  return {
    ...parseSubject(certificate.subjectName),
    ...parseAlternativeNames(certificate.getExtension(SubjectAlternativeNameExtension)),
    issuer: parseSubject(certificate.issuerName),
    serialNumber: certificate.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
    notBeforeMs: certificate.notBefore.getTime(),
    notAfterMs: certificate.notAfter.getTime(),
    usages: usagesOf(certificate.getExtension(KeyUsagesExtension), certificate.getExtension(ExtendedKeyUsageExtension)),
    isAuthority: certificate.getExtension(BasicConstraintsExtension)?.ca ?? false,
    fingerprint: sha256(certificate.rawData),
    publicKeyPem: `${certificate.publicKey.toString('pem')}\n`,
  };
}

/** Each certificate of a bundle, in PEM of its own. @throws {PemError} There is none, or one cannot be read. */
export function splitBundle(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new PemError('certificate bundle', 'no PEM of a certificate');
  return blocks.map((block) => `${readCertificate(block).toString('pem')}\n`);
}

/**
 * The pin of an authority's key for join tokens, as kubeadm writes it: `sha256:` and the hexadecimal SHA-256 of its SPKI. It stays the same
 * when the authority is renewed with the same key. @throws {PemError}
 */
export function certificatePin(pem: string): string {
  return `sha256:${sha256(readCertificate(pem).publicKey.rawData)}`;
}

/** Whether `pem` is an authority that `pin` names. @throws {PemError} */
export function matchesPin(pem: string, pin: string): boolean {
  const actual = Buffer.from(certificatePin(pem));
  const wanted = Buffer.from(pin.toLowerCase());
  return actual.length === wanted.length && timingSafeEqual(actual, wanted);
}

export interface CertificateExpectation {
  readonly authorityPem: string;
  /** The time to judge validity at, milliseconds since 1970: not the machine's own when that is not to be trusted. */
  readonly atMs: number;
  /** Default: whatever it was made for. */
  readonly usage?: 'client auth' | 'server auth';
}

/**
 * Believes a certificate that `authorityPem` itself signed, at a time of the caller's choosing: TLS in Node knows the system clock only.
 * @throws {CertificateDistrustError} with the reason. @throws {PemError}
 */
export async function verifyCertificate(pem: string, { authorityPem, atMs, usage }: CertificateExpectation): Promise<CertificateInfo> {
  const certificate = readCertificate(pem);
  const authority = readCertificate(authorityPem);
  const info = parseCertificate(pem);
  const authorityInfo = parseCertificate(authorityPem);
  const distrust = (reason: DistrustReason): CertificateDistrustError => new CertificateDistrustError(info.commonName, reason);

  if (!authorityInfo.isAuthority) throw distrust('issuer is no authority');
  const isNamed = Buffer.from(certificate.issuerName.toArrayBuffer()).equals(Buffer.from(authority.subjectName.toArrayBuffer()));
  const isSigned = isNamed && (await certificate.verify({ publicKey: authority.publicKey, signatureOnly: true }).catch(() => false));
  if (!isSigned) throw distrust('not signed by the authority');
  if (atMs < Math.max(info.notBeforeMs, authorityInfo.notBeforeMs)) throw distrust('not valid yet');
  if (atMs > Math.min(info.notAfterMs, authorityInfo.notAfterMs)) throw distrust('expired');
  if (usage !== undefined && !info.usages.includes(usage) && !info.usages.includes('any')) throw distrust('not made for this use');
  return info;
}

/** @throws {PemError} */
export function readCertificate(pem: string): X509Certificate {
  const [block] = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/) ?? [];
  if (block === undefined) throw new PemError('certificate', 'no PEM of a certificate');
  try {
    return new X509Certificate(block);
  } catch (cause) {
    throw new PemError('certificate', 'what is in the PEM is no certificate', { cause });
  }
}

function sha256(bytes: ArrayBuffer): string {
  return createHash('sha256').update(Buffer.from(bytes)).digest('hex');
}
