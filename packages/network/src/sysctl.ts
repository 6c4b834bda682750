import { readFileSync, writeFileSync } from 'node:fs';
import type { Ledger } from './ledger.ts';

/** Reads a kernel parameter of the calling thread's network namespace. @param name With slashes: `net/ipv4/ip_forward`. */
export function readSysctl(name: string): string {
  return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
}

/** Sets it, after the ledger has the value found. Writes nothing if it is so already. */
export function setSysctl(ledger: Ledger, name: string, value: string): void {
  const found = readSysctl(name);
  if (found === value) return;
  ledger.record({ kind: 'sysctl', name, found, set: value });
  writeFileSync(`/proc/sys/${name}`, value);
}

/** Restores the value found, unless somebody has changed it since. */
export function restoreSysctl(name: string, found: string, set: string): void {
  if (readSysctl(name) === set) writeFileSync(`/proc/sys/${name}`, found);
}
