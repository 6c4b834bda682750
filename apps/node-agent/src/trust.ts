import { connect, type DetailedPeerCertificate } from 'node:tls';
import { messageOf } from '@dure/foundation';
import { matchesPin, splitBundle } from '@dure/pki';
import { Agent, request } from 'undici';

/** No server answered with an authority that the pin names: either the wrong server, or somebody in between. */
export class UntrustedServerError extends Error {
  override readonly name = 'UntrustedServerError';
  readonly code = 'AGENT_UNTRUSTED_SERVER';

  constructor(server: string, why: string) {
    super(`join ${server}: ${why}`);
  }
}

const ANSWER_MS_MAX = 10_000;
const BODY_BYTES_MAX = 256 * 1024;

/**
 * The cluster's authority, PEM, fetched over a connection that is not trusted yet and believed only because its key has the pin.
 * @throws {UntrustedServerError} @throws {Error} The server cannot be reached.
 */
export async function discoverAuthority(server: string, pin: string): Promise<string> {
  const presented = await presentedAuthorities(server);
  const found = presented.find((pem) => matchesPin(pem, pin)) ?? (await publishedAuthorities(server)).find((pem) => matchesPin(pem, pin));
  if (found === undefined) throw new UntrustedServerError(server, `the server shows no authority with the pin ${pin} of the token`);
  return found;
}

/** What the server's own chain holds besides its certificate. */
function presentedAuthorities(server: string): Promise<readonly string[]> {
  const { hostname, port } = new URL(server);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 443),
      rejectUnauthorized: false,
      timeout: ANSWER_MS_MAX,
    });
    socket.on('secureConnect', () => {
      const found: string[] = [];
      const seen = new Set<string>();
      for (
        let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
        at?.raw !== undefined;
        at = at.issuerCertificate
      ) {
        if (seen.has(at.fingerprint256)) break;
        seen.add(at.fingerprint256);
        found.push(`-----BEGIN CERTIFICATE-----\n${at.raw.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`);
      }
      socket.destroy();
      resolve(found);
    });
    socket.on('timeout', () => socket.destroy(new Error(`connect ${server}: no answer within ${ANSWER_MS_MAX / 1000} s`)));
    socket.on('error', reject);
  });
}

/** What `kube-public/cluster-info` publishes to anybody. */
async function publishedAuthorities(server: string): Promise<readonly string[]> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, headersTimeout: ANSWER_MS_MAX, bodyTimeout: ANSWER_MS_MAX });
  try {
    const { statusCode, body } = await request(`${server}/api/v1/namespaces/kube-public/configmaps/cluster-info`, { dispatcher });
    const text = await body.text();
    if (statusCode !== 200 || text.length > BODY_BYTES_MAX) return [];
    const kubeconfig = (JSON.parse(text) as { readonly data?: { readonly kubeconfig?: string } }).data?.kubeconfig ?? '';
    const encoded = /certificate-authority-data:\s*["']?([A-Za-z0-9+/=]+)/.exec(kubeconfig)?.[1];
    return encoded === undefined ? [] : splitBundle(Buffer.from(encoded, 'base64').toString('utf8'));
  } catch (error) {
    throw new UntrustedServerError(server, `its cluster-info cannot be read: ${messageOf(error)}`);
  } finally {
    await dispatcher.close();
  }
}
