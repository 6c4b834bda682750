import { X509Certificate } from 'node:crypto';
import type { Credentials } from '../contract/authenticator.ts';
import type { UserInfo } from '../contract/user.ts';

/** The only name that is believed, of all that the front proxies' authority may have signed. */
export const FRONT_PROXY_NAMES: readonly string[] = ['front-proxy-client'];

/** Headers in which a front proxy says on whose behalf it asks; also the ones that extension API servers are told to read. */
export const REMOTE_HEADERS = {
  user: 'X-Remote-User',
  uid: 'X-Remote-Uid',
  group: 'X-Remote-Group',
  extraPrefix: 'X-Remote-Extra-',
} as const;

/**
 * The user that a front proxy speaks for; `undefined` where no front proxy speaks, or it names nobody.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
 */
export function userOfFrontProxy({ certificate, headers, headerLines }: Credentials): UserInfo | undefined {
  const [leaf] = certificate?.chain ?? [];
  if (certificate?.frontProxy !== true || leaf === undefined || !isAllowed(leaf)) return undefined;
  // A header's lines are kept apart: a group's name may hold a comma, and must not become two groups.
  const lines = (name: string): readonly string[] =>
    (headerLines?.(name) ?? (headers[name] === undefined ? [] : [headers[name]])).map(utf8).filter((value) => value !== '');
  const [name] = lines(REMOTE_HEADERS.user.toLowerCase());
  if (name === undefined) return undefined;
  const [uid] = lines(REMOTE_HEADERS.uid.toLowerCase());
  const prefix = REMOTE_HEADERS.extraPrefix.toLowerCase();
  const extra = Object.keys(headers)
    .filter((header) => header.startsWith(prefix))
    .map((header): [string, readonly string[]] => [unescaped(header.slice(prefix.length)), lines(header)]);
  return {
    name,
    ...(uid === undefined ? {} : { uid }),
    groups: lines(REMOTE_HEADERS.group.toLowerCase()),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

/**
 * Headers that name `user` to an extension API server. Keys of `extra` are escaped where a header's name could not hold them;
 * values are the bytes of their UTF-8, as Go's servers read them.
 */
export function remoteHeaders({ name, uid = '', groups, extra = {} }: UserInfo): Record<string, string | readonly string[]> {
  return {
    [REMOTE_HEADERS.user]: latin1(name),
    ...(uid === '' ? {} : { [REMOTE_HEADERS.uid]: latin1(uid) }),
    ...(groups.length === 0 ? {} : { [REMOTE_HEADERS.group]: groups.map(latin1) }),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`${REMOTE_HEADERS.extraPrefix}${escaped(key)}`, values.map(latin1)]),
    ),
  };
}

function isAllowed(leaf: Uint8Array): boolean {
  const lines = new X509Certificate(leaf).subject.split('\n');
  return lines.some((line) => line.startsWith('CN=') && FRONT_PROXY_NAMES.includes(line.slice('CN='.length)));
}

function escaped(key: string): string {
  return [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[!#$&'*+\-.^_`|~0-9A-Za-z]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key).toLowerCase();
  } catch {
    return key; // Escaped by nobody: the key is what stands there.
  }
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function utf8(header: string): string {
  return Buffer.from(header, 'latin1').toString('utf8');
}
