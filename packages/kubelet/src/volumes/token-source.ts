import type { Pod, ServiceAccountTokenProjection, TokenRequest } from '@dure/api';
import { serviceAccounts } from '@dure/api';
import type { Client } from '@dure/client';
import type { Clock } from '@dure/foundation';

export interface ServiceAccountToken {
  readonly token: string;
  /** Wall time from which a new one should be asked for. */
  readonly refreshAtMs: number;
}

const DEFAULT_EXPIRATION_SECONDS = 3600;
/** Upstream's rule: at 80 % of its life, or after a day, whichever is first. */
const REFRESH_SHARE = 0.8;
const REFRESH_MS_MAX = 24 * 3_600_000;

/** A fresh token for the Pod's ServiceAccount, bound to the Pod: it dies with it. @throws {StatusError} @throws {TransportError} */
export async function requestToken(
  client: Client,
  clock: Clock,
  pod: Pod,
  { audience, expirationSeconds = DEFAULT_EXPIRATION_SECONDS }: ServiceAccountTokenProjection,
  signal?: AbortSignal,
): Promise<ServiceAccountToken> {
  const { name, namespace = '', uid } = pod.metadata;
  const requestedAtMs = clock.now();
  const answer = await client.createSubresource<TokenRequest>(
    serviceAccounts,
    { namespace, name: pod.spec?.serviceAccountName || 'default' },
    'token',
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: {
        audiences: audience === undefined || audience === '' ? [] : [audience],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    },
    signal,
  );
  const token = answer.status?.token ?? '';
  // By the length of its life rather than the server's clock, which may differ from ours.
  const lifeMs = Number(answer.spec?.expirationSeconds ?? expirationSeconds) * 1000;
  return { token, refreshAtMs: requestedAtMs + Math.min(lifeMs * REFRESH_SHARE, REFRESH_MS_MAX) };
}
