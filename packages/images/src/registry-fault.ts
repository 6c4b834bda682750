import { errnoCode, messageOf } from '@dure/foundation';

/**
 * What to do about it: `unauthorized` wants other credentials, `missing` means it is not there, `busy` and `broken` pass with time,
 * `refused` does not.
 */
export type FaultKind = 'unauthorized' | 'missing' | 'busy' | 'broken' | 'refused';

/** One exchange with a registry failed. Inside this package only; callers see what `pull` promises. */
export class RegistryFault extends Error {
  override readonly name = 'RegistryFault';
  readonly code = 'REGISTRY_FAULT';
  readonly kind: FaultKind;
  /** The registry asked to wait this long. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: FaultKind, message: string, options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
  }

  get isTemporary(): boolean {
    return this.kind === 'busy' || this.kind === 'broken';
  }
}

/** The kind of an HTTP status other than success. */
export function faultKindOf(status: number): FaultKind {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 404 || status === 410) return 'missing';
  if (status === 408 || status === 429 || status === 503) return 'busy';
  return status >= 500 ? 'broken' : 'refused';
}

const TLS_REFUSALS: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** A fault for an exchange that ended without an answer: no connection, TLS refused, silence, cut off. */
export function networkFault(what: string, cause: unknown): RegistryFault {
  const code = errnoCode(cause) ?? '';
  if (TLS_REFUSALS.has(code)) {
    return new RegistryFault('refused', `${what}: its certificate is not trusted: configure the registry's CA file`, {
      cause,
    });
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || (code === 'EPROTO' && messageOf(cause).includes('wrong version number'))) {
    return new RegistryFault('refused', `${what}: it does not speak TLS: configure the registry as plain HTTP if that is meant`, { cause });
  }
  return new RegistryFault('broken', `${what}: ${reasonOf(code)}`, { cause });
}

/**
 * Milliseconds that a Retry-After header asks for: whole seconds or an HTTP date.
 * @param nowMs Wall time. @returns `undefined` if there is none or it makes no sense.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  // `Date.parse` alone would make a date of `-5`.
  const date = /^[A-Z][a-z]{2,8}, /.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(date - nowMs, 0);
}

function reasonOf(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused: is the registry running at this address?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `its name cannot be resolved (${code})`;
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'no connection within the time allowed';
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return 'it went silent';
    default:
      return 'the connection failed';
  }
}
