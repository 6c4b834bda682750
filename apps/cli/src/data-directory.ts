import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const INSTALLED = '/var/lib/dure';

/** Where state lies when nobody says: `.dure` of the checkout that this program is part of, else the installed place. */
export function defaultDataDir(): string {
  if (process.env.DURE_DATA_DIR !== undefined) return resolve(process.env.DURE_DATA_DIR);
  const checkout = resolve(dirname(realpathSync(process.argv[1] ?? '.')), '../../..');
  return existsSync(join(checkout, 'pnpm-workspace.yaml')) ? join(checkout, '.dure') : INSTALLED;
}
