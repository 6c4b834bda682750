import { PemError, RequestSignatureError } from './errors.ts';
import { createKeyPair, importSigningKey, signingAlgorithm } from './key-pair.ts';
import {
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from './peculiar.ts';
import {
  type AlternativeNames,
  parseAlternativeNames,
  parseSubject,
  renderAlternativeNames,
  renderSubject,
  type Subject,
} from './subject.ts';
import { type Usage, usagesOf } from './usage.ts';

export interface RequestOptions extends Partial<Subject>, Partial<AlternativeNames> {
  /** A key to use again. Default: a new P-256 key. */
  readonly privateKeyPem?: string;
}

/** A request and the key it is for; the key stays with whoever asks. */
export interface CreatedRequest {
  /** What `CertificateSigningRequest.spec.request` holds, before base64. */
  readonly requestPem: string;
  readonly privateKeyPem: string;
}

/** What a verified request asks for. */
export interface RequestInfo extends Subject, AlternativeNames {
  /** What the request itself asks for; Kubernetes goes by `spec.usages` instead. */
  readonly usages: readonly Usage[];
  readonly publicKeyPem: string;
}

/** @throws {PemError} The key cannot be read. @throws {RangeError} An address is none. */
export async function createRequest({ privateKeyPem = createKeyPair().privateKeyPem, ...names }: RequestOptions): Promise<CreatedRequest> {
  const keys = await importSigningKey(privateKeyPem);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: renderSubject(names),
    keys,
    signingAlgorithm: signingAlgorithm(keys.privateKey),
    extensions: [...renderAlternativeNames(names)],
  });
  return { requestPem: `${request.toString('pem')}\n`, privateKeyPem };
}

/** Reads a request of anybody's making and checks that its sender holds the key. @throws {PemError} @throws {RequestSignatureError} */
export async function parseRequest(pem: string): Promise<RequestInfo> {
  const request = await readVerifiedRequest(pem);
  return {
    ...parseSubject(request.subjectName),
    ...parseAlternativeNames(extensionOf(request, SubjectAlternativeNameExtension)),
    usages: usagesOf(extensionOf(request, KeyUsagesExtension), extensionOf(request, ExtendedKeyUsageExtension)),
    publicKeyPem: `${request.publicKey.toString('pem')}\n`,
  };
}

/** The extension of one kind that a request asks for. */
export function extensionOf<T extends Extension>(request: Pkcs10CertificateRequest, kind: new (...parts: never[]) => T): T | null {
  return request.extensions.find((extension): extension is T => extension instanceof kind) ?? null;
}

/** @throws {PemError} @throws {RequestSignatureError} */
export async function readVerifiedRequest(pem: string): Promise<Pkcs10CertificateRequest> {
  const [block] = pem.match(/-----BEGIN (NEW )?CERTIFICATE REQUEST-----[^-]*-----END (NEW )?CERTIFICATE REQUEST-----/) ?? [];
  if (block === undefined) throw new PemError('certificate request', 'no PEM of a certificate request');
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(block);
  } catch (cause) {
    throw new PemError('certificate request', 'what is in the PEM is no certificate request', { cause });
  }
  const { commonName } = parseSubject(request.subjectName);
  let isSigned: boolean;
  try {
    isSigned = await request.verify();
  } catch (cause) {
    throw new RequestSignatureError(commonName, { cause });
  }
  if (!isSigned) throw new RequestSignatureError(commonName);
  return request;
}
