import { readFile } from 'node:fs/promises';
import { type Clock, messageOf } from '@dure/foundation';
import { type ClusterAccess, KubeconfigError } from './kubeconfig.ts';

const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The agent replaces the file long before the token expires; reading it each minute is enough. */
const TOKEN_FRESH_MS = 60_000;

/**
 * How a program in a Pod reaches the API server: the environment's Service address, the mounted CA and the Pod's own token.
 * @throws {KubeconfigError} The environment or the files say that this is no Pod.
 */
export async function inClusterConfig({
  env,
  clock,
  directory = SERVICE_ACCOUNT_DIRECTORY,
}: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly directory?: string;
}): Promise<ClusterAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host || !port) throw new KubeconfigError('in-cluster config: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set');
  const read = (name: string): Promise<string> =>
    readFile(`${directory}/${name}`, 'utf8').catch((cause: unknown) => {
      throw new KubeconfigError(`in-cluster config: read ${directory}/${name}: ${messageOf(cause)}`, { cause });
    });
  const namespace = (await read('namespace').catch(() => '')).trim();
  return {
    servers: [`https://${host.includes(':') ? `[${host}]` : host}:${port}`],
    ca: await read('ca.crt'),
    token: cachedToken(async () => (await read('token')).trim(), clock),
    ...(namespace !== '' && { namespace }),
  };
}

/** Asks `read` at most once a minute, and keeps the last token while a newer one cannot be read. */
export function cachedToken(read: () => Promise<string>, clock: Clock): () => Promise<string> {
  let last: { readonly token: string; readonly readAtMs: number } | undefined;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (last !== undefined && nowMs - last.readAtMs < TOKEN_FRESH_MS) return last.token;
    try {
      last = { token: await read(), readAtMs: nowMs };
    } catch (error) {
      if (last === undefined) throw error;
    }
    return last.token;
  };
}
