// Compiles native/*.c into build/dure-run with the machine's C compiler. Does nothing when the result is newer than its sources.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const native = join(here, 'native');
const target = join(here, 'build', 'dure-run');
const files = readdirSync(native).filter((name) => /\.[ch]$/.test(name));
const sources = files.filter((name) => name.endsWith('.c')).sort();

const newest = Math.max(
  ...[...files.map((name) => join(native, name)), fileURLToPath(import.meta.url)].map((path) => statSync(path).mtimeMs),
);
const built = statSync(target, { throwIfNoEntry: false });
if (built !== undefined && built.mtimeMs > newest) process.exit(0);

const compiler = process.env.CC || 'cc';
const flags = [
  '-std=gnu11',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-static',
  '-D_GNU_SOURCE',
  '-D_FILE_OFFSET_BITS=64',
  '-D_TIME_BITS=64',
  '-fstack-protector-strong',
  '-ffunction-sections',
  '-fdata-sections',
  '-Wl,--gc-sections',
  '-s',
];
mkdirSync(dirname(target), { recursive: true });
// Beside, then renamed: a running dure-run keeps its file, and two builds at once do not mix.
const beside = `${target}.${process.pid}`;
const result = spawnSync(compiler, [...flags, '-o', beside, ...sources], { cwd: native, stdio: 'inherit' });
if (result.error?.code === 'ENOENT') {
  console.error(`dure-run: no C compiler (${compiler}). Install one:`);
  console.error('  Debian, Ubuntu, Raspberry Pi OS:  apt-get install gcc libc6-dev linux-libc-dev');
  console.error('  Alpine:                           apk add gcc musl-dev linux-headers');
  console.error('  Fedora:                           dnf install gcc glibc-static kernel-headers');
  process.exit(1);
}
if (result.status !== 0) {
  console.error(`dure-run: ${compiler} failed; a static C library (libc6-dev, musl-dev or glibc-static) and the kernel headers are needed`);
  process.exit(1);
}
renameSync(beside, target);
