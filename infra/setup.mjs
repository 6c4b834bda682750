// The way from a fresh checkout to a command that runs: `npm run up`, `npm test`, `npm run bench`.
// Plain JavaScript on Node alone, because it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const NODE_MIN = [20, 19];

/** Debian packages by the file that shows that one is there. `for`: the commands that need it. */
const DEBIAN_PACKAGES = [
  { name: 'iproute2', shows: ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'], for: ['up', 'test', 'bench'] },
  { name: 'nftables', shows: ['/usr/sbin/nft', '/sbin/nft'], for: ['up', 'test', 'bench'] },
  { name: 'util-linux', shows: ['/usr/bin/nsenter'], for: ['up', 'test', 'bench'] },
  { name: 'mount', shows: ['/usr/bin/mount', '/bin/mount'], for: ['up', 'test', 'bench'] },
  { name: 'gcc', shows: ['/usr/bin/cc', '/usr/bin/gcc'], for: ['up', 'test', 'bench'] },
  { name: 'libc6-dev', shows: ['/usr/include/linux/bpf.h', '/usr/include/stdio.h'], for: ['up', 'test', 'bench'] },
  { name: 'openssl', shows: ['/usr/bin/openssl'], for: ['test'] },
  { name: 'curl', shows: ['/usr/bin/curl'], for: ['test', 'bench'] },
  { name: 'bind9-dnsutils', shows: ['/usr/bin/dig'], for: ['test'] },
  { name: 'busybox-static', shows: ['/usr/bin/busybox', '/bin/busybox'], for: ['test'] },
  { name: 'e2fsprogs', shows: ['/usr/sbin/mke2fs', '/sbin/mke2fs'], for: ['test'] },
  { name: 'zstd', shows: ['/usr/bin/zstd'], for: ['test'] },
  { name: 'procps', shows: ['/usr/bin/ps', '/bin/ps'], for: ['test'] },
];

const [command = '', ...rest] = process.argv.slice(2);
const isRoot = process.getuid?.() === 0;
main();

function main() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
    fail(`Node.js ${NODE_MIN.join('.')} or newer is needed, this is ${process.versions.node}`);
  }
  if (command === 'up' && !isRoot && !rest.includes('--help')) {
    fail(
      'dure up needs root: it makes namespaces, mounts, cgroups, links and routes for Pods. Nothing was changed; run it again with sudo.',
    );
  }
  if (!['up', 'test', 'bench'].includes(command)) fail(`unknown command "${command}": up, test or bench`);
  installDebianPackages();
  installDependencies();
  run('building', join(root, 'node_modules/.bin/turbo'), ['run', 'build', '--output-logs=errors-only', '--ui=stream']);
  const target = {
    up: [
      join(root, 'apps/cli/dist/main.cjs'),
      'up',
      ...(rest.includes('--data-dir') || rest.some((word) => word.startsWith('--data-dir=')) ? [] : ['--data-dir', join(root, '.dure')]),
    ],
    test: ['--import', 'tsx', join(root, 'test/runner/src/main.ts')],
    bench: ['--import', 'tsx', join(root, 'test/bench/src/main.ts')],
  }[command];
  // Ctrl-C reaches the program itself through the terminal; this process must outlive it to hand on its exit code.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
  const { status, signal } = spawnSync(process.execPath, [...target, ...rest], { cwd: root, stdio: 'inherit', env: environment() });
  process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
}

function installDebianPackages() {
  const missing = DEBIAN_PACKAGES.filter((item) => item.for.includes(command) && !item.shows.some((path) => existsSync(path))).map(
    ({ name }) => name,
  );
  if (missing.length === 0) return;
  const advice = `apt-get install -y ${missing.join(' ')}`;
  if (!existsSync('/usr/bin/apt-get'))
    fail(`missing programs of the Debian packages ${missing.join(', ')}; install their equivalents and run this again`);
  if (!isRoot) {
    if (command === 'up') fail(`missing Debian packages: ${missing.join(', ')}. As root: ${advice}`);
    console.log(`missing Debian packages (tests that need them are skipped): ${advice}`);
    return;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run(
    `installing Debian packages: ${missing.join(', ')}`,
    'sh',
    ['-c', `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${missing.join(' ')} >/dev/null`],
    env,
  );
}

/** The lock file that pnpm keeps beside what it installed equals the checkout's when nothing is missing. */
function installDependencies() {
  const installed = join(root, 'node_modules/.pnpm/lock.yaml');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')) return;
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const pnpm = packageManager.split('+')[0];
  // From elsewhere, so that npx takes a copy of its own: the checkout's pnpm could be asked to replace itself while it runs.
  const args = ['--yes', pnpm, '--dir', root, 'install', '--frozen-lockfile'];
  run(`installing dependencies with ${pnpm}`, 'npx', args, { ...environment(), CI: 'true' }, tmpdir());
}

function environment() {
  return {
    ...process.env,
    PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}`,
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
  };
}

function run(what, program, args, env = environment(), cwd = root) {
  const started = process.hrtime.bigint();
  console.log(`dure: ${what} ...`);
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'], env });
  if (status !== 0) fail(`${what} failed${error ? `: ${error.message}` : ` with exit code ${status}`}`);
  console.log(`dure: ${what}: done in ${(Number(process.hrtime.bigint() - started) / 1e9).toFixed(1)} s`);
}

function fail(message) {
  console.error(`dure: ${message}`);
  process.exit(1);
}
