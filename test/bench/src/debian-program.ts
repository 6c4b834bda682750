import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, unpackedClosure } from '@dure/test-support';

const DIRECTORIES = ['usr/bin', 'usr/sbin', 'bin', 'sbin'];

/** argv that starts a program of a Debian package: the machine's own, or one unpacked into the cache with its own C library. Nothing is installed. */
export async function debianProgram(packageName: string, program: string): Promise<readonly string[]> {
  const installed = await findProgram(program);
  if (installed !== undefined) return [installed];
  const root = await unpackedClosure({ packages: [packageName] });
  const path = DIRECTORIES.map((directory) => join(root, directory, program)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`package ${packageName} has no program ${program}`);
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const loader = process.arch === 'arm64' ? 'lib/ld-linux-aarch64.so.1' : 'lib64/ld-linux-x86-64.so.2';
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`, 'usr/lib'].map((directory) => join(root, directory)).join(':');
  return [join(root, loader), '--library-path', libraries, path];
}
