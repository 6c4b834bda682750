// Assembles a directory that runs Dure on another machine with nothing but Node.js and a C library: the bundled apps, `dure-run`, and the
// native parts that bundles leave outside, laid out as in the checkout. `node infra/pack.mjs DIRECTORY` after a build; refuses one with content.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [target] = process.argv.slice(2);
if (target === undefined) fail('usage: node infra/pack.mjs DIRECTORY');
const out = resolve(target);
if (existsSync(out) && readdirSync(out).length > 0) fail(`${out} has content already`);

const APPS = ['cli', 'control-plane', 'node-agent', 'service-proxy'];
/** What bundles require by name, and the workspaces that declare it. */
const EXTERNALS = { koffi: 'packages/network', 'classic-level': 'packages/store' };

for (const app of APPS) copy(`apps/${app}/dist/main.cjs`);
copy('apps/cli/bin/dure.mjs');
copy('packages/runtime/build/dure-run');
for (const file of ['LICENSE', 'infra/install.sh']) copy(file);
for (const directory of ['infra/systemd', 'infra/openrc']) copy(directory);
for (const [name, workspace] of Object.entries(EXTERNALS)) copyPackage(name, join(root, workspace), new Set());
writeFileSync(join(out, 'package.json'), `${JSON.stringify({ name: 'dure', version: version(), private: true }, null, 2)}\n`);
for (const app of APPS) tryOut(`apps/${app}/dist/main.cjs`);

/** Only a program that starts from here has all it requires. */
function tryOut(program) {
  try {
    execFileSync(process.execPath, [join(out, program), '--help'], { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    fail(`${program} does not start from ${out}: ${error.stderr}`);
  }
}

function copy(path) {
  const source = join(root, path);
  if (!existsSync(source)) fail(`${path} is missing: build first (npx turbo run build)`);
  mkdirSync(dirname(join(out, path)), { recursive: true });
  cpSync(source, join(out, path), { recursive: true });
}

/** Copies a package and what it needs into one flat node_modules: none of them comes in two versions. */
function copyPackage(name, from, seen) {
  if (seen.has(name)) return;
  seen.add(name);
  const source = packageDirectory(name, from);
  if (source === undefined) return; // An optional part for another processor.
  cpSync(source, join(out, 'node_modules', name), {
    recursive: true,
    dereference: true,
    filter: (path) => !isForeign(path.slice(source.length)),
  });
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) copyPackage(dependency, source, seen);
}

function packageDirectory(name, from) {
  for (const base of createRequire(join(from, 'package.json')).resolve.paths(name) ?? []) {
    if (existsSync(join(base, name, 'package.json'))) return realpathSync(join(base, name));
  }
  return undefined;
}

/** Documents, sources of native parts, and binaries for other systems, which a running package does not read. */
function isForeign(path) {
  if (/^\/(node_modules|deps|vendor|doc|test)(\/|$)/.test(path)) return true;
  if (/\.(c|cc|cpp|h|hh|hpp|S|asm|inc|gyp|md|d\.ts)$/.test(path)) return true;
  const [, platform] = /^\/prebuilds\/([^/]+)/.exec(path) ?? [];
  return platform !== undefined && platform !== `linux-${process.arch}`;
}

function version() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
}

function fail(message) {
  console.error(`pack: ${message}`);
  process.exit(1);
}
