import { closeSync, existsSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Syscalls } from './syscalls.ts';

const CLONE_NEWNET = 0x40000000;
const MS_BIND = 4096;
const MNT_DETACH = 2;
/** What statfs says of a file on nsfs, the kernel's file system for namespaces. */
const NSFS_MAGIC = 0x6e736673;
const OWN_NAMESPACE = '/proc/thread-self/ns/net';

/**
 * Runs `action` with the calling thread inside the network namespace at `path`, and comes back whatever happens.
 * `action` must be synchronous: anything deferred would run in the wrong namespace.
 * A thread that cannot come back would do everything else in the wrong place, so that ends the process.
 */
export function within<T>(syscalls: Syscalls, path: string, action: () => T): T {
  const home = openSync(OWN_NAMESPACE, 'r');
  try {
    const there = openSync(path, 'r');
    try {
      return enter(syscalls, there, home, action);
    } finally {
      closeSync(there);
    }
  } finally {
    closeSync(home);
  }
}

/** {@link within} with descriptors of both namespaces, for those who do it often (3 us). */
export function enter<T>(syscalls: Syscalls, there: number, home: number, action: () => T): T {
  syscalls.setns(there, CLONE_NEWNET);
  try {
    return action();
  } finally {
    comeBack(syscalls, home);
  }
}

/** Makes a network namespace and keeps it by a bind mount at `path`. Does nothing if one stands there. */
export function createNetworkNamespace(syscalls: Syscalls, path: string): void {
  if (isNetworkNamespace(path)) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, '', { mode: 0o444 });
  const home = openSync(OWN_NAMESPACE, 'r');
  try {
    syscalls.unshare(CLONE_NEWNET);
    try {
      syscalls.mount(OWN_NAMESPACE, path, 'none', MS_BIND);
    } finally {
      comeBack(syscalls, home);
    }
  } finally {
    closeSync(home);
  }
}

/** Lets go of the namespace at `path`; it ends once no socket and no process uses it. Does nothing if there is none. */
export function removeNetworkNamespace(syscalls: Syscalls, path: string): void {
  while (isNetworkNamespace(path)) syscalls.unmount(path, MNT_DETACH);
  rmSync(path, { force: true });
}

/** True if a namespace is bind-mounted at `path`, rather than a plain file left behind. */
export function isNetworkNamespace(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === NSFS_MAGIC;
}

function comeBack(syscalls: Syscalls, home: number): void {
  try {
    syscalls.setns(home, CLONE_NEWNET);
  } catch (error) {
    process.stderr.write(`cannot return to the own network namespace: ${String(error)}\n`);
    process.abort();
  }
}
