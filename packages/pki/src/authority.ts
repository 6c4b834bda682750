import type { webcrypto } from 'node:crypto';
import type { Clock, Random } from '@dure/foundation';
import { parseCertificate, readCertificate } from './certificate.ts';
import { createKeyPair, importSigningKey, signingAlgorithm } from './key-pair.ts';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  type Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from './peculiar.ts';
import { extensionOf, readVerifiedRequest } from './request.ts';
import { type AlternativeNames, renderAlternativeNames, renderSubject, type Subject } from './subject.ts';
import { type Usage, usageExtensions } from './usage.ts';

/**
 * Certificates begin this long before they are made, as kubeadm's do, so that machines whose clocks are a little behind accept them at once.
 * Larger errors are not papered over here: the agent judges validity at the control plane's time.
 */
export const BACKDATE_MS = 5 * 60_000;

const YEAR_MS = 365 * 24 * 3_600_000;
const SERIAL_BYTES = 16;

/** A certificate and its private key, in PEM. */
export interface Identity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** An identity that signs others. */
export type Authority = Identity;

/** Where time and serial numbers come from. */
export interface IssuingContext {
  readonly clock: Clock;
  readonly random: Random;
}

export interface AuthorityOptions {
  readonly commonName: string;
  /** Default: ten years. */
  readonly validityMs?: number;
  /** The key of an authority to renew; its pin stays the same. Default: a new P-256 key. */
  readonly privateKeyPem?: string;
}

export interface CertificateOptions extends Subject, Partial<AlternativeNames> {
  /** Besides `digital signature`, which every key for TLS needs. */
  readonly usages: readonly Usage[];
  /** Default: one year. Cut where the authority itself ends. */
  readonly validityMs?: number;
}

export interface SigningOptions {
  /** Exactly these, whatever the request asks for. */
  readonly usages: readonly Usage[];
  readonly validityMs: number;
}

/** A new authority that signs itself and may sign end certificates, not further authorities. */
export async function createAuthority(options: AuthorityOptions, { clock, random }: IssuingContext): Promise<Authority> {
  const { commonName, validityMs = 10 * YEAR_MS, privateKeyPem = createKeyPair().privateKeyPem } = options;
  const keys = await importSigningKey(privateKeyPem);
  const name = renderSubject({ commonName });
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: name,
    issuer: name,
    notBefore: wholeSeconds(clock.now() - BACKDATE_MS),
    notAfter: wholeSeconds(clock.now() + validityMs),
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: signingAlgorithm(keys.privateKey),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      ...usageExtensions(['digital signature', 'key encipherment', 'cert sign']),
      await SubjectKeyIdentifierExtension.create(keys.publicKey, false),
    ],
  });
  return { certificatePem: `${certificate.toString('pem')}\n`, privateKeyPem };
}

/** A new key with a certificate. @throws {PemError} The authority cannot be read. @throws {RangeError} An address is none. */
export async function issueCertificate(authority: Authority, options: CertificateOptions, context: IssuingContext): Promise<Identity> {
  const { privateKeyPem } = createKeyPair();
  const { publicKey } = await importSigningKey(privateKeyPem);
  const certificatePem = await issue(authority, context, {
    publicKey,
    subject: renderSubject(options),
    names: renderAlternativeNames(options),
    usages: ['digital signature', ...options.usages],
    validityMs: options.validityMs ?? YEAR_MS,
  });
  return { certificatePem, privateKeyPem };
}

/**
 * The certificate that `requestPem` asks for: its subject, alternative names and key; nothing else in it counts. Whether it should be given is
 * the caller's to decide. @throws {PemError} @throws {RequestSignatureError}
 */
export async function signRequest(
  authority: Authority,
  requestPem: string,
  options: SigningOptions,
  context: IssuingContext,
): Promise<string> {
  const request = await readVerifiedRequest(requestPem);
  const names = extensionOf(request, SubjectAlternativeNameExtension);
  return issue(authority, context, {
    publicKey: await request.publicKey.export(),
    subject: request.subjectName,
    names: names === null ? [] : [names],
    ...options,
  });
}

interface Issuance extends SigningOptions {
  readonly publicKey: webcrypto.CryptoKey;
  readonly subject: Name;
  readonly names: readonly Extension[];
}

async function issue(authority: Authority, { clock, random }: IssuingContext, wanted: Issuance): Promise<string> {
  const issuer = readCertificate(authority.certificatePem);
  const { notBeforeMs, notAfterMs } = parseCertificate(authority.certificatePem);
  const { privateKey } = await importSigningKey(authority.privateKeyPem);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: wanted.subject,
    // The issuer's own bytes: names are compared as such.
    issuer: issuer.subjectName,
    notBefore: wholeSeconds(Math.max(clock.now() - BACKDATE_MS, notBeforeMs)),
    notAfter: wholeSeconds(Math.min(clock.now() + wanted.validityMs, notAfterMs)),
    publicKey: wanted.publicKey,
    signingKey: privateKey,
    signingAlgorithm: signingAlgorithm(privateKey),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      ...usageExtensions(wanted.usages),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey, false),
      ...wanted.names,
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** Positive, and at most 16 bytes: RFC 5280 allows 20. */
function serialNumber(random: Random): string {
  const bytes = random.bytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

/** Certificates have no fractions of a second. */
function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}
