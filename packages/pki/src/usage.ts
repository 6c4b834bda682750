import { UnknownUsageError } from './errors.ts';
import { ExtendedKeyUsageExtension, type Extension, KeyUsageFlags, KeyUsagesExtension } from './peculiar.ts';

/**
 * What a key may do, in the words of `CertificateSigningRequest.spec.usages`. The first group are bits of the key usage, the second OIDs of
 * the extended key usage.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/certificate-signing-request-v1/
 * @see RFC 5280, 4.2.1.3 and 4.2.1.12
 */
export type Usage = keyof typeof KEY_USAGES | keyof typeof EXTENDED_KEY_USAGES;

const KEY_USAGES = {
  signing: KeyUsageFlags.digitalSignature,
  'digital signature': KeyUsageFlags.digitalSignature,
  'content commitment': KeyUsageFlags.nonRepudiation,
  'key encipherment': KeyUsageFlags.keyEncipherment,
  'key agreement': KeyUsageFlags.keyAgreement,
  'data encipherment': KeyUsageFlags.dataEncipherment,
  'cert sign': KeyUsageFlags.keyCertSign,
  'crl sign': KeyUsageFlags.cRLSign,
  'encipher only': KeyUsageFlags.encipherOnly,
  'decipher only': KeyUsageFlags.decipherOnly,
} as const;

const EXTENDED_KEY_USAGES = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
} as const;

/** @throws {UnknownUsageError} Kubernetes has no such usage. */
export function parseUsage(text: string): Usage {
  if (Object.hasOwn(KEY_USAGES, text) || Object.hasOwn(EXTENDED_KEY_USAGES, text)) return text as Usage;
  throw new UnknownUsageError(text);
}

/** The extensions that say `usages`. */
export function usageExtensions(usages: readonly Usage[]): readonly Extension[] {
  const flags = usages.reduce((sum, usage) => sum | (isKeyUsage(usage) ? KEY_USAGES[usage] : 0), 0);
  const oids = [...new Set(usages.flatMap((usage) => (isKeyUsage(usage) ? [] : [EXTENDED_KEY_USAGES[usage]])))];
  return [
    ...(flags === 0 ? [] : [new KeyUsagesExtension(flags, true)]),
    ...(oids.length === 0 ? [] : [new ExtendedKeyUsageExtension(oids)]),
  ];
}

/** The usages that extensions say, each under its first name; OIDs that Kubernetes has no word for are left out. */
export function usagesOf(keyUsages: KeyUsagesExtension | null, extended: ExtendedKeyUsageExtension | null): readonly Usage[] {
  const flags = Object.entries(KEY_USAGES).filter(([name, flag]) => name !== 'signing' && ((keyUsages?.usages ?? 0) & flag) !== 0);
  const oids = Object.entries(EXTENDED_KEY_USAGES).filter(([name, oid]) => name !== 's/mime' && extended?.usages.includes(oid));
  return [...flags, ...oids].map(([name]) => name as Usage);
}

function isKeyUsage(usage: Usage): usage is keyof typeof KEY_USAGES {
  return Object.hasOwn(KEY_USAGES, usage);
}
