import { join } from 'node:path';
import { findProgram, unpackedClosure } from '@dure/test-support';

/** How to call QEMU: the machine's own, or Debian's unpacked into the cache. */
export interface Emulator {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const PROGRAM = 'qemu-system-x86_64';

export async function emulator(): Promise<Emulator> {
  const installed = await findProgram(PROGRAM);
  if (installed !== undefined) return { argv: [installed], env: process.env };
  const root = await unpackedClosure({ packages: ['qemu-system-x86', 'seabios', 'ipxe-qemu'] });
  // Its own C library too, through its own loader: the closure is complete, and the machine's may be another one.
  const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib', 'usr/lib/x86_64-linux-gnu/pulseaudio']
    .map((name) => join(root, name))
    .join(':');
  return {
    argv: [
      join(root, 'lib64/ld-linux-x86-64.so.2'),
      '--library-path',
      libraries,
      join(root, 'usr/bin', PROGRAM),
      '-L',
      join(root, 'usr/share/qemu'),
      '-L',
      join(root, 'usr/share/seabios'),
    ],
    // No modules of another build by accident.
    env: { ...process.env, QEMU_MODULE_DIR: join(root, 'usr/lib/x86_64-linux-gnu/qemu') },
  };
}
