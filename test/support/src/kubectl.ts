import { join } from 'node:path';
import { debianUnavailable, unpackedClosure } from './debian.ts';
import { findProgram } from './process.ts';

/** Why no kubectl can be had here, `undefined` if one can. */
export async function kubectlUnavailable(): Promise<string | undefined> {
  return (await findProgram('kubectl')) === undefined ? debianUnavailable() : undefined;
}

/** Path of a kubectl: the one on PATH, else that of Debian trixie, which needs nothing installed since Go links it statically. */
export async function kubectlPath(): Promise<string> {
  const installed = await findProgram('kubectl');
  if (installed !== undefined) return installed;
  return debianKubectl();
}

/** Debian trixie's kubectl (1.32), from the cache. */
export async function debianKubectl(): Promise<string> {
  const root = await unpackedClosure({ packages: ['kubernetes-client'], distribution: 'trixie' });
  return join(root, 'usr/bin/kubectl');
}
