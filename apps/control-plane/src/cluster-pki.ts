import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { errnoCode } from '@dure/foundation';
import {
  type CertificateOptions,
  createAuthority,
  createKeyPair,
  type Identity,
  type IssuingContext,
  issueCertificate,
  parseCertificate,
} from '@dure/pki';

/** Everything that the control plane proves itself and others with. PEM. */
export interface ClusterPki {
  readonly ca: Identity;
  /** The API server's own face. */
  readonly serving: Identity;
  /** How the API server shows itself to node agents. */
  readonly kubeletClient: Identity;
  /** Signs those who may say on whose behalf they ask: nobody but {@link frontProxyClient}. */
  readonly frontProxyCa: Identity;
  /** How the API server shows itself to extension API servers. */
  readonly frontProxyClient: Identity;
  /** The first kubeconfig's user. */
  readonly admin: Identity;
  /** Signs ServiceAccount tokens. */
  readonly serviceAccountKeyPem: string;
}

export interface ServerNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** A certificate is made anew when less than this part of its life is left. */
const RENEW_BELOW = 0.3;

/** Names under which clients may call this API server. */
export function serverNames(facts: {
  readonly advertiseAddress: string;
  readonly apiServiceIP: string;
  readonly clusterDomain: string;
  readonly further: readonly string[];
}): ServerNames {
  const own = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.replace(/%.*$/, '')),
  );
  const addresses = [
    ...new Set([
      '127.0.0.1',
      '::1',
      facts.advertiseAddress,
      facts.apiServiceIP,
      ...own,
      ...facts.further.filter((name) => isIP(name) !== 0),
    ]),
  ];
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${facts.clusterDomain}`];
  return { dnsNames: ['localhost', ...service, ...facts.further.filter((name) => isIP(name) === 0)], ipAddresses: addresses };
}

/**
 * Reads the PKI below `directory`, making what is missing, near its end, or lacks one of `names`. The authority and the ServiceAccount key are
 * made once: everything in the cluster hangs on them.
 */
export async function openClusterPki(directory: string, names: ServerNames, context: IssuingContext): Promise<ClusterPki> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const ca = await identity(
    directory,
    'ca',
    () => true,
    () => createAuthority({ commonName: 'dure-ca' }, context),
  );
  const frontProxyCa = await identity(
    directory,
    'front-proxy-ca',
    () => true,
    () => createAuthority({ commonName: 'dure-front-proxy-ca' }, context),
  );
  const issued = (
    name: string,
    options: CertificateOptions,
    fits: (pem: string) => boolean = () => true,
    authority: Identity = ca,
  ): Promise<Identity> =>
    identity(
      directory,
      name,
      (pem) => isFresh(pem, context.clock.now()) && fits(pem),
      () => issueCertificate(authority, options, context),
    );
  return {
    ca,
    serving: await issued('apiserver', { commonName: 'kube-apiserver', organizations: [], ...names, usages: ['server auth'] }, (pem) =>
      hasNames(pem, names),
    ),
    kubeletClient: await issued('apiserver-kubelet-client', {
      commonName: 'kube-apiserver-kubelet-client',
      organizations: ['system:masters'],
      usages: ['client auth'],
    }),
    frontProxyCa,
    frontProxyClient: await issued(
      'front-proxy-client',
      { commonName: 'front-proxy-client', organizations: [], usages: ['client auth'] },
      () => true,
      frontProxyCa,
    ),
    admin: await issued('admin', { commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client auth'] }),
    serviceAccountKeyPem: await keptFile(join(directory, 'sa.key'), () => createKeyPair().privateKeyPem),
  };
}

async function identity(
  directory: string,
  name: string,
  fits: (certificatePem: string) => boolean,
  make: () => Promise<Identity>,
): Promise<Identity> {
  const [certificatePath, keyPath] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  const [certificatePem, privateKeyPem] = [await readIfThere(certificatePath), await readIfThere(keyPath)];
  if (certificatePem !== undefined && privateKeyPem !== undefined && fits(certificatePem)) return { certificatePem, privateKeyPem };
  const made = await make();
  // The key first: a certificate without its key is made anew at the next start, a key that is too new is only written over.
  await writeAtOnce(keyPath, made.privateKeyPem, 0o600);
  await writeAtOnce(certificatePath, made.certificatePem, 0o644);
  return made;
}

function isFresh(pem: string, nowMs: number): boolean {
  const { notBeforeMs, notAfterMs } = parseCertificate(pem);
  return notAfterMs - nowMs > (notAfterMs - notBeforeMs) * RENEW_BELOW;
}

function hasNames(pem: string, names: ServerNames): boolean {
  const info = parseCertificate(pem);
  return (
    names.dnsNames.every((name) => info.dnsNames.includes(name)) && names.ipAddresses.every((address) => info.ipAddresses.includes(address))
  );
}

async function keptFile(path: string, make: () => string): Promise<string> {
  const kept = await readIfThere(path);
  if (kept !== undefined) return kept;
  const made = make();
  await writeAtOnce(path, made, 0o600);
  return made;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeAtOnce(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, text, { mode, flush: true });
  await rename(`${path}.new`, path);
}
