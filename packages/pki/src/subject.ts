import { isIP } from 'node:net';
import { type GeneralNames, Name, SubjectAlternativeNameExtension } from './peculiar.ts';

/** Whom a certificate names. To Kubernetes the common name is the user and the organizations are the groups. */
export interface Subject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

/** Other names of the subject. Addresses in their usual text form, IPv4 and IPv6. */
export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
}

/** Each organization stands in a relative name of its own, as Go writes it; values go in as they are, whatever characters they have. */
export function renderSubject({ commonName, organizations = [] }: Partial<Subject>): Name {
  return new Name([
    ...organizations.map((organization) => ({ O: [{ utf8String: organization }] })),
    ...(commonName === undefined || commonName === '' ? [] : [{ CN: [{ utf8String: commonName }] }]),
  ]);
}

export function parseSubject(name: Name): Subject {
  // With several common names the last one counts, as in Go.
  return { commonName: name.getField('CN').at(-1) ?? '', organizations: name.getField('O') };
}

/** @throws {RangeError} An address is none. */
export function renderAlternativeNames(names: Partial<AlternativeNames>): readonly SubjectAlternativeNameExtension[] {
  const { dnsNames = [], ipAddresses = [], emailAddresses = [], uris = [] } = names;
  for (const address of ipAddresses) if (isIP(address) === 0) throw new RangeError(`"${address}" is no IP address`);
  const all = [
    ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
    ...ipAddresses.map((value) => ({ type: 'ip', value }) as const),
    ...emailAddresses.map((value) => ({ type: 'email', value }) as const),
    ...uris.map((value) => ({ type: 'url', value }) as const),
  ];
  return all.length === 0 ? [] : [new SubjectAlternativeNameExtension(all)];
}

export function parseAlternativeNames(extension: SubjectAlternativeNameExtension | null): AlternativeNames {
  const names: GeneralNames['items'] = extension?.names.items ?? [];
  const valuesOf = (type: string): string[] => names.filter((name) => name.type === type).map(({ value }) => value);
  return { dnsNames: valuesOf('dns'), ipAddresses: valuesOf('ip'), emailAddresses: valuesOf('email'), uris: valuesOf('url') };
}
