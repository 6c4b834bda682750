import { secrets } from '@dure/api';
import type { Client } from '@dure/client';
import type { Clock, Random } from '@dure/foundation';
import { certificatePin } from '@dure/pki';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const NAMESPACE = 'kube-system';
const PREFIX = 'bootstrap-token-';

/**
 * What a machine needs to join: a bootstrap token, and the pin of the authority that it must find at the other end.
 * Written as one word, `dure1.<sha256 of the CA's public key, hex>.<token id>.<token secret>`.
 */
export interface JoinToken {
  readonly id: string;
  readonly secret: string;
  /** Lower-case hex. */
  readonly caSha256: string;
}

export function renderJoinToken({ id, secret, caSha256 }: JoinToken): string {
  return `dure1.${caSha256}.${id}.${secret}`;
}

export interface TokenOptions {
  /** PEM. */
  readonly ca: string;
  readonly ttlMs: number;
  readonly description: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes a bootstrap token in the cluster, good until `ttlMs` from now. */
export async function createJoinToken(client: Client, { ca, ttlMs, description, clock, random }: TokenOptions): Promise<JoinToken> {
  const word = (length: number): string => Array.from({ length }, () => ALPHABET[random.integer(ALPHABET.length)]).join('');
  const [id, secret] = [word(6), word(16)];
  await client.create(secrets, {
    metadata: { name: `${PREFIX}${id}`, namespace: NAMESPACE },
    type: 'bootstrap.kubernetes.io/token',
    data: encoded({
      'token-id': id,
      'token-secret': secret,
      expiration: new Date(clock.now() + ttlMs).toISOString(),
      'usage-bootstrap-authentication': 'true',
      'usage-bootstrap-signing': 'true',
      'auth-extra-groups': 'system:bootstrappers:dure',
      description,
    }),
  });
  return { id, secret, caSha256: certificatePin(ca).replace(/^sha256:/, '') };
}

export interface ListedToken {
  readonly id: string;
  readonly expiration: string;
  readonly description: string;
}

export async function listJoinTokens(client: Client): Promise<readonly ListedToken[]> {
  const { items } = await client.list(secrets, { namespace: NAMESPACE, fieldSelector: 'type=bootstrap.kubernetes.io/token' });
  return items.map(({ data = {} }) => {
    const field = (name: string): string => Buffer.from(data[name] ?? '', 'base64').toString('utf8');
    return { id: field('token-id'), expiration: field('expiration'), description: field('description') };
  });
}

/** @param id With or without the secret behind it. */
export async function deleteJoinToken(client: Client, id: string): Promise<void> {
  await client.delete(secrets, { namespace: NAMESPACE, name: `${PREFIX}${id.split('.')[0]}` });
}

function encoded(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
}
