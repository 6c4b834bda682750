import { notAcceptable, type StatusError, unsupportedMediaType } from '@dure/api';

export type WireFormat = 'json' | 'yaml' | 'protobuf';
export type Transform = 'Table' | 'PartialObjectMetadata';

/** How an answer is to look. */
export interface OutputForm {
  readonly format: WireFormat;
  readonly as?: Transform;
  /** `v1` or `v1beta1` of meta.k8s.io, where `as` is set. */
  readonly asVersion?: string;
  readonly pretty: boolean;
  readonly contentType: string;
}

export interface MediaRange {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

const CONTENT_TYPES: Readonly<Record<WireFormat, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

export const MEDIA_TYPES: readonly string[] = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
/** Longer Accept headers are nobody's. */
const RANGES_MAX = 32;

/** The ranges of an Accept header, best first; equal ones in the order they were sent. */
export function parseAccept(header: string): readonly MediaRange[] {
  const ranges = header
    .split(',', RANGES_MAX)
    .map((part) => parseMediaType(part))
    .filter((range) => range.type !== '' && range.quality > 0);
  return ranges.toSorted((left, right) => right.quality - left.quality);
}

/** One media type with its parameters. */
export function parseMediaType(text: string): MediaRange {
  const [type = '', ...rest] = text.split(';');
  const parameters: Record<string, string> = {};
  let quality = 1;
  for (const part of rest) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    const value = part
      .slice(equals + 1)
      .trim()
      .replace(/^"|"$/g, '');
    if (name === 'q') quality = Number(value) >= 0 ? Math.min(Number(value), 1) : 0;
    else parameters[name] = value;
  }
  return { type: type.trim().toLowerCase(), parameters, quality };
}

/** What an endpoint can do beyond plain objects. */
export interface OutputAbilities {
  readonly tables: boolean;
  readonly metadataOnly: boolean;
  readonly protobuf: boolean;
}

/** The form that the client likes best among those we have. @throws {StatusError} NotAcceptable. */
export function negotiateOutput(
  accept: string | undefined,
  query: URLSearchParams,
  userAgent: string,
  abilities: OutputAbilities,
): OutputForm {
  const ranges = accept === undefined || accept.trim() === '' ? [parseMediaType('*/*')] : parseAccept(accept);
  const prettyQuery = query.get('pretty');
  // Browsers and curl belong to people.
  const pretty = prettyQuery === null ? /^(curl|Wget|Mozilla)\//.test(userAgent) : prettyQuery !== '0' && prettyQuery !== 'false';
  for (const range of ranges) {
    const format = formatOf(range.type, abilities);
    if (format === undefined) continue;
    const as = range.parameters.as;
    if (as === undefined) return { format, pretty, contentType: CONTENT_TYPES[format] };
    const version = range.parameters.v;
    if (range.parameters.g !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) continue;
    if (as === 'Table' && abilities.tables && format !== 'protobuf')
      return { format, as, asVersion: version, pretty, contentType: CONTENT_TYPES[format] };
    if ((as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') && abilities.metadataOnly) {
      return { format, as: 'PartialObjectMetadata', asVersion: version, pretty, contentType: CONTENT_TYPES[format] };
    }
  }
  throw notAcceptable(abilities.protobuf ? MEDIA_TYPES : MEDIA_TYPES.slice(0, 2));
}

/** The format of a request body. JSON where the client says nothing. @throws {StatusError} UnsupportedMediaType. */
export function bodyFormat(contentType: string | undefined): WireFormat {
  if (contentType === undefined || contentType.trim() === '') return 'json';
  const { type } = parseMediaType(contentType);
  if (type === 'application/json') return 'json';
  if (type === 'application/yaml' || type === 'application/x-yaml') return 'yaml';
  if (type === CONTENT_TYPES.protobuf) return 'protobuf';
  throw bodyRefused();
}

/** What a body in an unknown format is answered. */
export function bodyRefused(accepted: readonly string[] = MEDIA_TYPES): StatusError {
  return unsupportedMediaType(accepted);
}

function formatOf(type: string, abilities: OutputAbilities): WireFormat | undefined {
  if (type === '*/*' || type === 'application/*' || type === 'application/json') return 'json';
  if (type === 'application/yaml') return 'yaml';
  if (type === CONTENT_TYPES.protobuf && abilities.protobuf) return 'protobuf';
  return undefined;
}
