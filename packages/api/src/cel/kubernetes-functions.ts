/** Kubernetes' libraries: quantities, addresses, URLs, named formats, semantic versions. @see https://kubernetes.io/docs/reference/using-api/cel/ */
import { cidrContains, formatCidr, formatIP, maskCidr, type ParsedIP, parseCidr, parseIP } from '../address-syntax.ts';
import { checkDns1035Label, checkDns1123Label, checkDns1123Subdomain, checkLabelValue, checkQualifiedName } from '../name-syntax.ts';
import { addQuantities, compareQuantities, type Quantity, quantityFromUnits, quantityOf, subtractQuantities } from '../quantity.ts';
import { CelEvaluationError } from './cel-error.ts';
import { BOOL, type CelType, DOUBLE, INT, listOf, mapOf, optionalOf, STRING } from './cel-type.ts';
import { CelMap, type CelValue, CIDR, FORMAT, IP, Opaque, type OpaqueContent, Optional, QUANTITY, SEMVER, URL_TYPE } from './cel-value.ts';
import { define, method, type Overload } from './overload.ts';

/** No quantity, address or version is longer; longer text is not even looked at. */
const TEXT_LENGTH_MAX = 256;
const URL_LENGTH_MAX = 8192;
const NANOS = 1_000_000_000n;

function content<K extends OpaqueContent['kind']>(value: CelValue, kind: K): Extract<OpaqueContent, { kind: K }> {
  if (!(value instanceof Opaque) || value.content.kind !== kind) throw new CelEvaluationError('no such overload');
  return value.content as Extract<OpaqueContent, { kind: K }>;
}

function opaqueOf(found: OpaqueContent | undefined, what: string, text: string): Opaque {
  if (found === undefined) throw new CelEvaluationError(`${what} parse error: ${JSON.stringify(text.slice(0, TEXT_LENGTH_MAX))}`);
  return new Opaque(found);
}

/** `isX(string)` and `x(string)`, which belong together. */
function parsers(test: string, make: string, type: CelType, parse: (text: string) => OpaqueContent | undefined): readonly Overload[] {
  return [
    define<[string]>(test, [STRING], BOOL, ([text], budget) => budget.worked(text.length * 0.1, parse(text) !== undefined)),
    define<[string]>(make, [STRING], type, ([text], budget) => budget.worked(text.length * 0.1, opaqueOf(parse(text), make, text))),
  ];
}

const parsedQuantity = (text: string): OpaqueContent | undefined => {
  const quantity = text.length > TEXT_LENGTH_MAX || text.trim() !== text ? undefined : quantityOf(text);
  return quantity === undefined ? undefined : { kind: 'quantity', quantity };
};

function quantityIn(value: CelValue): Quantity {
  return typeof value === 'bigint' ? quantityFromUnits(value) : content(value, 'quantity').quantity;
}

const wholeOf = ({ nanos }: Quantity): bigint | undefined => {
  const units = nanos / NANOS;
  return nanos % NANOS === 0n && units <= 2n ** 63n - 1n && units >= -(2n ** 63n) ? units : undefined;
};

const quantities: readonly Overload[] = [
  ...parsers('isQuantity', 'quantity', QUANTITY, parsedQuantity),
  method<[CelValue]>('sign', [QUANTITY], INT, ([value]) => {
    const { nanos } = quantityIn(value);
    return nanos > 0n ? 1n : nanos < 0n ? -1n : 0n;
  }),
  method<[CelValue]>('isInteger', [QUANTITY], BOOL, ([value]) => wholeOf(quantityIn(value)) !== undefined),
  method<[CelValue]>('asInteger', [QUANTITY], INT, ([value]) => {
    const whole = wholeOf(quantityIn(value));
    if (whole === undefined) throw new CelEvaluationError('cannot convert value to integer');
    return whole;
  }),
  method<[CelValue]>('asApproximateFloat', [QUANTITY], DOUBLE, ([value]) => Number(quantityIn(value).nanos) / 1e9),
  ...[QUANTITY, INT].flatMap((other) => [
    method<[CelValue, CelValue]>(
      'add',
      [QUANTITY, other],
      QUANTITY,
      ([a, b]) => new Opaque({ kind: 'quantity', quantity: addQuantities(quantityIn(a), quantityIn(b)) }),
    ),
    method<[CelValue, CelValue]>(
      'sub',
      [QUANTITY, other],
      QUANTITY,
      ([a, b]) => new Opaque({ kind: 'quantity', quantity: subtractQuantities(quantityIn(a), quantityIn(b)) }),
    ),
  ]),
  method<[CelValue, CelValue]>('isLessThan', [QUANTITY, QUANTITY], BOOL, ([a, b]) => compareQuantities(quantityIn(a), quantityIn(b)) < 0),
  method<[CelValue, CelValue]>(
    'isGreaterThan',
    [QUANTITY, QUANTITY],
    BOOL,
    ([a, b]) => compareQuantities(quantityIn(a), quantityIn(b)) > 0,
  ),
  method<[CelValue, CelValue]>('compareTo', [QUANTITY, QUANTITY], INT, ([a, b]) => BigInt(compareQuantities(quantityIn(a), quantityIn(b)))),
];

const parsedIP = (text: string): OpaqueContent | undefined => {
  const ip = text.length > TEXT_LENGTH_MAX ? undefined : parseIP(text);
  return ip === undefined ? undefined : { kind: 'ip', ip };
};
const parsedCidr = (text: string): OpaqueContent | undefined => {
  const cidr = text.length > TEXT_LENGTH_MAX ? undefined : parseCidr(text);
  return cidr === undefined ? undefined : { kind: 'cidr', cidr };
};

function ipIn(value: CelValue): ParsedIP {
  if (typeof value !== 'string') return content(value, 'ip').ip;
  return content(opaqueOf(parsedIP(value), 'IP Address', value), 'ip').ip;
}

/** Whether an address lies in the block for its family. */
function inBlock(four: string | undefined, six: string): (ip: ParsedIP) => boolean {
  const [v4, v6] = [four === undefined ? undefined : parseCidr(four), parseCidr(six)];
  return (ip) => (ip.family === 'IPv4' ? v4 !== undefined && cidrContains(v4, ip) : v6 !== undefined && cidrContains(v6, ip));
}

const isUnspecified = (ip: ParsedIP): boolean => ip.value === 0n;
const isLoopback = inBlock('127.0.0.0/8', '::1/128');
const isMulticast = inBlock('224.0.0.0/4', 'ff00::/8');
const isLinkLocalMulticast = inBlock('224.0.0.0/24', 'ff02::/16');
const isLinkLocalUnicast = inBlock('169.254.0.0/16', 'fe80::/10');
const isGlobalUnicast = (ip: ParsedIP): boolean =>
  !isUnspecified(ip) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocalUnicast(ip) &&
  !(ip.family === 'IPv4' && ip.value === 0xffffffffn);

const addresses: readonly Overload[] = [
  ...parsers('isIP', 'ip', IP, parsedIP),
  ...parsers('isCIDR', 'cidr', CIDR, parsedCidr),
  define<[string]>('ip.isCanonical', [STRING], BOOL, ([text]) => formatIP(ipIn(text)) === text),
  define<[CelValue]>('string', [IP], STRING, ([value]) => formatIP(ipIn(value))),
  define<[CelValue]>('string', [CIDR], STRING, ([value]) => formatCidr(content(value, 'cidr').cidr)),
  method<[CelValue]>('family', [IP], INT, ([value]) => (ipIn(value).family === 'IPv4' ? 4n : 6n)),
  ...Object.entries({ isUnspecified, isLoopback, isLinkLocalMulticast, isLinkLocalUnicast, isGlobalUnicast }).map(([name, test]) =>
    method<[CelValue]>(name, [IP], BOOL, ([value]) => test(ipIn(value))),
  ),
  ...[IP, STRING].map((other) =>
    method<[CelValue, CelValue]>('containsIP', [CIDR, other], BOOL, ([cidr, ip]) => cidrContains(content(cidr, 'cidr').cidr, ipIn(ip))),
  ),
  ...[CIDR, STRING].map((other) =>
    method<[CelValue, CelValue]>('containsCIDR', [CIDR, other], BOOL, ([outer, inner]) => {
      const { cidr } = content(outer, 'cidr');
      const part =
        typeof inner === 'string'
          ? content(opaqueOf(parsedCidr(inner), 'network address', inner), 'cidr').cidr
          : content(inner, 'cidr').cidr;
      return part.prefixLength >= cidr.prefixLength && cidrContains(cidr, part);
    }),
  ),
  method<[CelValue]>('ip', [CIDR], IP, ([value]) => {
    const { family, value: bits } = content(value, 'cidr').cidr;
    return new Opaque({ kind: 'ip', ip: { family, value: bits } });
  }),
  method<[CelValue]>('masked', [CIDR], CIDR, ([value]) => new Opaque({ kind: 'cidr', cidr: maskCidr(content(value, 'cidr').cidr) })),
  method<[CelValue]>('prefixLength', [CIDR], INT, ([value]) => BigInt(content(value, 'cidr').cidr.prefixLength)),
];

/** Absolute URLs and absolute paths, as upstream's parser takes them. */
const parsedUrl = (text: string): OpaqueContent | undefined => {
  if (text.length > URL_LENGTH_MAX) return undefined;
  const path = text.startsWith('/');
  if (!path && !/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text)) return undefined;
  const whole = path ? `path://path${text}` : text;
  return URL.canParse(whole) && !/[\s<>"]/.test(text) ? { kind: 'url', url: new URL(whole), text } : undefined;
};

function urlPart(name: string, of: (url: URL) => string): Overload {
  return method<[CelValue]>(name, [URL_TYPE], STRING, ([value]) => {
    const { url, text } = content(value, 'url');
    return text.startsWith('/') && name !== 'getEscapedPath' ? '' : of(url);
  });
}

/** The host as it was written: the parser of this platform drops ports that are the scheme's own. */
function writtenPort(value: CelValue): string {
  const { text } = content(value, 'url');
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#]*?:(\d+)(?=[/?#]|$)/.exec(text)?.[1] ?? '';
}

const urls: readonly Overload[] = [
  ...parsers('isURL', 'url', URL_TYPE, parsedUrl),
  urlPart('getScheme', (url) => url.protocol.replace(/:$/, '')),
  method<[CelValue]>('getHost', [URL_TYPE], STRING, ([value], budget) => {
    const { url, text } = content(value, 'url');
    budget.work(text.length * 0.1);
    const port = writtenPort(value);
    return text.startsWith('/') ? '' : `${url.hostname}${port === '' ? '' : `:${port}`}`;
  }),
  urlPart('getHostname', (url) => url.hostname.replace(/^\[(.*)\]$/, '$1')),
  method<[CelValue]>('getPort', [URL_TYPE], STRING, ([value], budget) =>
    budget.worked(content(value, 'url').text.length * 0.1, writtenPort(value)),
  ),
  urlPart('getEscapedPath', (url) => url.pathname),
  method<[CelValue]>('getQuery', [URL_TYPE], mapOf(STRING, listOf(STRING)), ([value], budget) => {
    const { url } = content(value, 'url');
    budget.work(url.search.length);
    const { searchParams } = url;
    return new CelMap(new Map([...new Set(searchParams.keys())].map((key) => [key, searchParams.getAll(key)])));
  }),
];

/** Named formats. What each finds wrong is what the API's own checks find. */
const FORMATS: Readonly<Record<string, (text: string) => readonly string[]>> = {
  dns1123Label: checkDns1123Label,
  dns1123Subdomain: checkDns1123Subdomain,
  dns1035Label: checkDns1035Label,
  qualifiedName: checkQualifiedName,
  dns1123LabelPrefix: (text) => checkDns1123Label(text.replace(/-$/, 'a')),
  dns1123SubdomainPrefix: (text) => checkDns1123Subdomain(text.replace(/-$/, 'a')),
  dns1035LabelPrefix: (text) => checkDns1035Label(text.replace(/-$/, 'a')),
  labelValue: checkLabelValue,
  uri: (text) => (parsedUrl(text) === undefined ? ['must be a valid URI'] : []),
  uuid: (text) =>
    /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text) ? [] : ['does not match the UUID format'],
  byte: (text) => (/^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0 ? [] : ['invalid base64']),
  date: (text) => (/^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) ? [] : ['invalid date']),
  datetime: (text) => (/^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}/.test(text) && !Number.isNaN(Date.parse(text)) ? [] : ['invalid datetime']),
};

const formats: readonly Overload[] = [
  ...Object.keys(FORMATS).map((format) => define<[]>(`format.${format}`, [], FORMAT, () => new Opaque({ kind: 'format', format }))),
  define<[string]>(
    'format.named',
    [STRING],
    optionalOf(FORMAT),
    ([format]) => new Optional(Object.hasOwn(FORMATS, format) ? new Opaque({ kind: 'format', format }) : undefined),
  ),
  method<[CelValue, string]>('validate', [FORMAT, STRING], optionalOf(listOf(STRING)), ([value, text], budget) => {
    budget.work(text.length * 0.1);
    const faults = FORMATS[content(value, 'format').format]?.(text) ?? [];
    return new Optional(faults.length === 0 ? undefined : faults);
  }),
];

const parsedSemver = (text: string, lenient = false): OpaqueContent | undefined => {
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  const given = lenient
    ? text.replace(/^v/, '').replace(/^(\d+)(?:\.(\d+))?(?![\d.])/, (_all, major: string, minor = '0') => `${major}.${minor}.0`)
    : text;
  const match = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(given);
  if (match === null) return undefined;
  return {
    kind: 'semver',
    numbers: [BigInt(match[1] ?? 0), BigInt(match[2] ?? 0), BigInt(match[3] ?? 0)],
    prerelease: match[4] ?? '',
    text: given,
  };
};

function compareVersions(a: CelValue, b: CelValue): number {
  const [left, right] = [content(a, 'semver'), content(b, 'semver')];
  for (const [index, part] of left.numbers.entries()) {
    const other = right.numbers[index] ?? 0n;
    if (part !== other) return part < other ? -1 : 1;
  }
  if (left.prerelease === right.prerelease) return 0;
  if (left.prerelease === '' || right.prerelease === '') return left.prerelease === '' ? 1 : -1;
  return comparePrereleases(left.prerelease.split('.'), right.prerelease.split('.'));
}

/** Numbers come before words; where all else is equal the shorter comes first. @see https://semver.org/#spec-item-11 */
function comparePrereleases(left: readonly string[], right: readonly string[]): number {
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (part === other) continue;
    const [a, b] = [/^\d+$/.test(part), /^\d+$/.test(other)];
    if (a && b) return BigInt(part) < BigInt(other) ? -1 : 1;
    if (a !== b) return a ? -1 : 1;
    return part < other ? -1 : 1;
  }
  return left.length < right.length ? -1 : 0;
}

const semvers: readonly Overload[] = [
  ...parsers('isSemver', 'semver', SEMVER, (text) => parsedSemver(text)),
  define<[string, boolean]>('isSemver', [STRING, BOOL], BOOL, ([text, lenient]) => parsedSemver(text, lenient) !== undefined),
  define<[string, boolean]>('semver', [STRING, BOOL], SEMVER, ([text, lenient]) => opaqueOf(parsedSemver(text, lenient), 'semver', text)),
  ...(['major', 'minor', 'patch'] as const).map((name, index) =>
    method<[CelValue]>(name, [SEMVER], INT, ([value]) => content(value, 'semver').numbers[index] ?? 0n),
  ),
  method<[CelValue, CelValue]>('isLessThan', [SEMVER, SEMVER], BOOL, ([a, b]) => compareVersions(a, b) < 0),
  method<[CelValue, CelValue]>('isGreaterThan', [SEMVER, SEMVER], BOOL, ([a, b]) => compareVersions(a, b) > 0),
  method<[CelValue, CelValue]>('compareTo', [SEMVER, SEMVER], INT, ([a, b]) => BigInt(compareVersions(a, b))),
];

export const kubernetesFunctions: readonly Overload[] = [...quantities, ...addresses, ...urls, ...formats, ...semvers];
