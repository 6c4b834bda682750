import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Something of ours on the host, with what it takes to remove it. */
export type HostChange =
  /** All links whose names start so, with the routes over them. */
  | { readonly kind: 'links'; readonly namePrefix: string }
  | { readonly kind: 'network-namespace'; readonly path: string }
  | { readonly kind: 'nftables-table'; readonly family: string; readonly name: string }
  | { readonly kind: 'route'; readonly destination: string; readonly link: string; readonly via?: string }
  | { readonly kind: 'unreachable-route'; readonly destination: string }
  | { readonly kind: 'sysctl'; readonly name: string; readonly found: string; readonly set: string };

/** What was changed on a host. A change is in the ledger before it is made, and leaves it after it was undone. */
export interface Ledger {
  /** Durable (as far as the ledger's file system is) when this returns. The same change twice is one entry. */
  record(change: HostChange): void;
  /** The change has been undone. */
  forget(change: HostChange): void;
  /** Oldest first. */
  entries(): readonly HostChange[];
  /** Removes the ledger's own file. */
  remove(): void;
}

/** Dead lines that a file may hold before it is written anew. */
const DEAD_LINES_MAX = 256;

/**
 * A ledger in an append-only file of JSON lines. It may lie on tmpfs: all that it names ends with the kernel that has it.
 * A last line torn by a crash is ignored: its change had not been made.
 */
export function openLedger(path: string): Ledger {
  const entries = new Map<string, HostChange>();
  let lines = 0;
  if (existsSync(path)) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const parsed = parseLine(line);
      if (parsed === undefined) continue;
      lines += 1;
      if (parsed.done) entries.delete(parsed.key);
      else entries.set(parsed.key, parsed.change);
    }
    rewrite();
  }

  function rewrite(): void {
    const text = [...entries.values()].map((change) => `${JSON.stringify({ change })}\n`).join('');
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    lines = entries.size;
  }

  return {
    record(change) {
      const key = keyOf(change);
      if (entries.has(key)) return;
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      appendFileSync(path, `${JSON.stringify({ change })}\n`, { mode: 0o600 });
      lines += 1;
      entries.set(key, change);
    },
    forget(change) {
      if (!entries.delete(keyOf(change))) return;
      appendFileSync(path, `${JSON.stringify({ change, done: true })}\n`, { mode: 0o600 });
      lines += 1;
      if (lines - entries.size > DEAD_LINES_MAX) rewrite();
    },
    entries: () => [...entries.values()],
    remove: () => rmSync(path, { force: true }),
  };
}

/** What makes two changes the same. For a sysctl that is its name: the value found first is the one to restore. */
function keyOf(change: HostChange): string {
  switch (change.kind) {
    case 'links':
      return `links ${change.namePrefix}`;
    case 'network-namespace':
      return `network-namespace ${change.path}`;
    case 'nftables-table':
      return `nftables-table ${change.family} ${change.name}`;
    case 'route':
      return `route ${change.destination} ${change.link} ${change.via ?? ''}`;
    case 'unreachable-route':
      return `unreachable-route ${change.destination}`;
    case 'sysctl':
      return `sysctl ${change.name}`;
  }
}

function parseLine(line: string): { key: string; change: HostChange; done: boolean } | undefined {
  if (line === '') return undefined;
  try {
    const { change, done } = JSON.parse(line) as { change: HostChange; done?: boolean };
    return { key: keyOf(change), change, done: done === true };
  } catch {
    return undefined;
  }
}
