#!/usr/bin/env node
// The `dure` command of a checkout. The program itself is the bundle that `npm run up` (or `turbo run build`) makes.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const bundle = fileURLToPath(new URL('../dist/main.cjs', import.meta.url));
if (!existsSync(bundle)) {
  console.error('dure: not built yet; run "npm run up" in the checkout, which installs and builds what is missing');
  process.exit(1);
}
createRequire(import.meta.url)(bundle);
