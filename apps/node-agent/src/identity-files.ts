import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode } from '@dure/foundation';
import { parseCertificate } from '@dure/pki';
import type { IssuedCertificate } from './certificate-request.ts';

/** What the node keeps of its membership, under `<data dir>/pki`. */
export interface Membership {
  readonly servers: readonly string[];
  /** PEM. */
  readonly ca: string;
  readonly client: IssuedCertificate;
}

export interface IdentityPaths {
  readonly ca: string;
  readonly client: string;
  readonly serving: string;
  readonly servers: string;
}

export function identityPaths(dataDir: string): IdentityPaths {
  const pki = join(dataDir, 'pki');
  return {
    ca: join(pki, 'ca.crt'),
    client: join(pki, 'client.pem'),
    serving: join(pki, 'serving.pem'),
    servers: join(pki, 'servers'),
  };
}

/** A certificate and key from one file; `undefined`: absent, torn, or run out at `nowMs`. */
export async function readIssued(path: string, nowMs: number): Promise<IssuedCertificate | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return '';
    throw error;
  });
  const at = text.indexOf('-----BEGIN PRIVATE KEY-----');
  if (at <= 0) return undefined;
  const issued = { certificate: text.slice(0, at), key: text.slice(at) };
  try {
    return parseCertificate(issued.certificate).notAfterMs > nowMs ? issued : undefined;
  } catch {
    return undefined;
  }
}

/** One file for both, replaced in one step: a certificate never stands beside the key of another. */
export async function writeIssued(path: string, { certificate, key }: IssuedCertificate): Promise<void> {
  await writePrivate(path, `${certificate.trimEnd()}\n${key}`);
}

/** Survives a power cut once it has returned: a node that lost its identity could not come back without a new token. */
export async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

/** Without it the new name may be lost with the power. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}
