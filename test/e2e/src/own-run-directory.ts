import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runCommand } from '@dure/test-support';

const SOURCE = 'dure-e2e';

/**
 * Puts an empty /run over the machine's, in this process's own mount namespace. The directory is one for all namespaces otherwise: a `down` here
 * would take away what a cluster outside keeps there, and removing a mount point unmounts it everywhere.
 */
export async function ownRunDirectory(): Promise<void> {
  if ((await readFile('/proc/self/mountinfo', 'utf8')).includes(` - tmpfs ${SOURCE} `)) return;
  // On many machines /etc/resolv.conf is a link to below /run.
  const resolvConf = await realpath('/etc/resolv.conf').catch(() => '');
  const content = resolvConf.startsWith('/run/') ? await readFile(resolvConf) : undefined;
  await runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=755', SOURCE, '/run']);
  if (content === undefined) return;
  await mkdir(dirname(resolvConf), { recursive: true });
  await writeFile(resolvConf, content);
}
