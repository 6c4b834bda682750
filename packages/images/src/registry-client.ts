import { type Clock, isAbort, messageOf } from '@dure/foundation';
import { type Dispatcher, request } from 'undici';
import type { RegistryCredentials } from './contract.ts';
import { basicAuthorization, parseChallenges, parseToken, tokenUrl } from './registry-auth.ts';
import { faultKindOf, networkFault, parseRetryAfter, RegistryFault } from './registry-fault.ts';
import type { Endpoint, RegistryHosts } from './registry-hosts.ts';

/** One GET of a registry's API. */
export interface RegistryRequest {
  readonly endpoint: Endpoint;
  /** The repository, for the path and the token's scope. */
  readonly repository: string;
  /** Below the repository: `manifests/latest`, `blobs/sha256:...`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}

/** A success. The body must be read to its end, or destroyed. */
export interface RegistryResponse {
  readonly status: number;
  /** Lower-case names; the first value of each. */
  readonly header: (name: string) => string | undefined;
  readonly body: AsyncIterable<Buffer>;
}

const REDIRECTS_MAX = 5;
const ERROR_BODY_BYTES_MAX = 16 * 1024;
const TOKEN_BYTES_MAX = 1024 * 1024;
const AUTHORIZATIONS_MAX = 256;
/** A token is given up this long before it ends, so that it does not end under way. */
const TOKEN_MARGIN_MS = 10_000;

interface Authorization {
  readonly value: string;
  /** Monotonic. */
  readonly untilMs: number;
}

/**
 * Speaks the distribution API: one exchange with its redirects and its authorization, no retries.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export class RegistryClient {
  readonly #hosts: RegistryHosts;
  readonly #clock: Clock;
  /** By endpoint, scope and credentials. */
  readonly #authorizations = new Map<string, Authorization>();

  constructor({ hosts, clock }: { readonly hosts: RegistryHosts; readonly clock: Clock }) {
    this.#hosts = hosts;
    this.#clock = clock;
  }

  /** @throws {RegistryFault} There was no answer, or one other than success. */
  async get(wanted: RegistryRequest): Promise<RegistryResponse> {
    const { endpoint, repository, path, credentials, signal } = wanted;
    const url = new URL(`${endpoint.baseUrl}/v2/${repository}/${path}`);
    const scope = `repository:${repository}:pull`;
    const key = JSON.stringify([endpoint.baseUrl, scope, credentials?.username, credentials?.password]);
    const what = `get ${url.href}`;
    const send = (authorization: string | undefined): Promise<Dispatcher.ResponseData> =>
      this.#follow(url, { ...wanted.headers, ...(authorization === undefined ? {} : { authorization }) }, signal, what);

    let response = await send(this.#known(key));
    if (response.statusCode === 401) {
      this.#authorizations.delete(key);
      const detail = await errorDetail(response);
      const authorization = await this.#authorize(headerOf(response, 'www-authenticate') ?? '', {
        endpoint,
        scope,
        credentials,
        signal,
        detail,
      });
      this.#remember(key, authorization);
      response = await send(authorization.value);
    }
    if (response.statusCode !== 200 && response.statusCode !== 206) throw await this.#faultOf(response, what);
    const answered = response;
    return { status: answered.statusCode, header: (name) => headerOf(answered, name), body: bodyOf(answered, what, signal) };
  }

  #known(key: string): string | undefined {
    const known = this.#authorizations.get(key);
    return known !== undefined && known.untilMs > this.#clock.monotonicMs() ? known.value : undefined;
  }

  #remember(key: string, authorization: Authorization): void {
    const [oldest] = this.#authorizations.keys();
    if (this.#authorizations.size >= AUTHORIZATIONS_MAX && oldest !== undefined) this.#authorizations.delete(oldest);
    this.#authorizations.set(key, authorization);
  }

  /** Answers a 401. Bearer goes before Basic when a registry offers both. */
  async #authorize(
    header: string,
    asked: {
      readonly endpoint: Endpoint;
      readonly scope: string;
      readonly credentials: RegistryCredentials | undefined;
      readonly signal: AbortSignal;
      readonly detail: string;
    },
  ): Promise<Authorization> {
    const { endpoint, credentials } = asked;
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      const url = tokenUrl(bearer, asked.scope);
      if (url === undefined) throw new RegistryFault('refused', `authorize at ${endpoint.host}: its challenge names no token server`);
      return this.#fetchToken(url, asked);
    }
    if (challenges.some(({ scheme }) => scheme === 'basic') && credentials !== undefined) {
      return { value: basicAuthorization(credentials), untilMs: Number.POSITIVE_INFINITY };
    }
    const why = credentials === undefined ? 'no credentials were given' : 'it offers no way to authorize that is known here';
    throw new RegistryFault('unauthorized', `${asked.detail}; ${why}`);
  }

  async #fetchToken(
    url: URL,
    {
      endpoint,
      credentials,
      signal,
    }: { readonly endpoint: Endpoint; readonly credentials: RegistryCredentials | undefined; readonly signal: AbortSignal },
  ): Promise<Authorization> {
    const what = `get a token for ${endpoint.host} from ${url.origin}`;
    // The realm is the registry's word. A registry reached by TLS must not make us send a password in the clear.
    if (credentials !== undefined && url.protocol === 'http:' && endpoint.baseUrl.startsWith('https:')) {
      throw new RegistryFault('refused', `${what}: it wants credentials over plain HTTP`);
    }
    const headers: Record<string, string> = { accept: 'application/json' };
    if (credentials !== undefined) headers.authorization = basicAuthorization(credentials);
    const response = await this.#follow(url, headers, signal, what);
    if (response.statusCode !== 200) throw await this.#faultOf(response, what);
    const text = (await readAtMost(bodyOf(response, what, signal), TOKEN_BYTES_MAX, what)).toString('utf8');
    const token = parseToken(jsonOrNothing(text));
    if (token === undefined) throw new RegistryFault('refused', `${what}: the answer holds no token`);
    const untilMs = this.#clock.monotonicMs() + Math.max(token.lifetimeMs - TOKEN_MARGIN_MS, 1_000);
    return { value: `Bearer ${token.value}`, untilMs };
  }

  async #follow(
    start: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    what: string,
  ): Promise<Dispatcher.ResponseData> {
    let url = start;
    const sent: Record<string, string> = { 'user-agent': 'dure', ...headers };
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#send(url, sent, signal, what);
      const location = headerOf(response, 'location');
      if (![301, 302, 303, 307, 308].includes(response.statusCode) || location === undefined) return response;
      response.body.on('error', () => {}).destroy();
      if (redirects === REDIRECTS_MAX) throw new RegistryFault('refused', `${what}: more than ${REDIRECTS_MAX} redirects`);
      if (!URL.canParse(location, url.href)) throw new RegistryFault('refused', `${what}: redirected to no URL`);
      const next = new URL(location, url);
      if (next.protocol !== 'https:' && (next.protocol !== 'http:' || url.protocol === 'https:')) {
        throw new RegistryFault('refused', `${what}: redirected from ${url.protocol} to ${next.protocol}`);
      }
      // Storage behind a registry has its own signed URLs; what we are to the registry is not its business.
      if (next.origin !== url.origin) delete sent.authorization;
      url = next;
    }
  }

  async #send(url: URL, headers: Record<string, string>, signal: AbortSignal, what: string): Promise<Dispatcher.ResponseData> {
    const dispatcher = await this.#hosts.dispatcherFor(url);
    try {
      return await request(url, { method: 'GET', headers, dispatcher, signal });
    } catch (error) {
      throw asFault(error, what, signal);
    }
  }

  async #faultOf(response: Dispatcher.ResponseData, what: string): Promise<RegistryFault> {
    const kind = faultKindOf(response.statusCode);
    const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'), this.#clock.now());
    return new RegistryFault(kind, `${what}: ${await errorDetail(response)}`, { retryAfterMs });
  }
}

/** All of a body that the caller needs whole. @throws {RegistryFault} It is longer than `bytesMax`. */
export async function readAtMost(body: AsyncIterable<Buffer>, bytesMax: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new RegistryFault('refused', `${what}: the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* bodyOf(response: Dispatcher.ResponseData, what: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of response.body) yield chunk as Buffer;
  } catch (error) {
    throw asFault(error, what, signal);
  } finally {
    response.body.on('error', () => {}).destroy();
  }
}

function asFault(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof RegistryFault || isAbort(error, signal)) return error;
  return networkFault(what, error);
}

/** Status and the registry's own words, for people. */
async function errorDetail(response: Dispatcher.ResponseData): Promise<string> {
  let text = '';
  try {
    for await (const chunk of response.body) {
      text += (chunk as Buffer).toString('utf8');
      if (text.length > ERROR_BODY_BYTES_MAX) break;
    }
  } catch (error) {
    text = messageOf(error);
  }
  const errors = (jsonOrNothing(text) as { errors?: unknown } | undefined)?.errors;
  const said = Array.isArray(errors)
    ? errors
        .flatMap((entry: unknown) => {
          const { code, message } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
          return [code, message].filter((part) => typeof part === 'string').join(': ');
        })
        .join('; ')
    : '';
  return said === '' ? `answered ${response.statusCode}` : `answered ${response.statusCode}, ${said.slice(0, 500)}`;
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
