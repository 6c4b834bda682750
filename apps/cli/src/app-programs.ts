import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';

/** Programs of Dure beside this one. */
export type AppName = 'control-plane' | 'node-agent' | 'service-proxy';

/** The bundle of an app: `apps/<name>/dist/main.cjs`, found from where this program lies. */
export function appBundle(name: AppName): string {
  // argv[1] is apps/cli/bin/dure.mjs or apps/cli/dist/main.cjs, perhaps through a link in node_modules/.bin.
  const self = realpathSync(process.argv[1] ?? '.');
  return resolve(dirname(self), '../..', name, 'dist/main.cjs');
}

/** Turns this process into an app: the app reads `args` as its own command line. */
export function becomeApp(name: AppName, args: readonly string[]): void {
  const bundle = appBundle(name);
  process.argv = [process.argv[0] ?? 'node', bundle, ...args];
  createRequire(bundle)(bundle);
}
