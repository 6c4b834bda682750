// Bundles one app into dist/main.cjs. Plain JavaScript because it runs before anything is built.
// CommonJS: ES module output breaks on CommonJS dependencies that require Node's own modules dynamically.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const app = resolve(process.cwd());
const { name } = JSON.parse(readFileSync(resolve(app, 'package.json'), 'utf8'));

await build({
  entryPoints: [resolve(app, 'src/main.ts')],
  outfile: resolve(app, 'dist/main.cjs'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // CommonJS has no import.meta: modules that look for files beside themselves look beside the bundle.
  banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'bundleUrl' },
  sourcemap: 'linked',
  legalComments: 'none',
  logLevel: 'warning',
  // Native parts stay files of their own; they are found through the app's node_modules.
  external: ['koffi', 'classic-level', 'node-pty', '*.node'],
});
console.log(`${name}: dist/main.cjs`);
