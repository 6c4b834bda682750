import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ZoneTable } from '@dure/dns';
import type { ServiceTable } from '@dure/network';

/** Everything that is served, from one moment. */
export interface Tables {
  readonly services: ServiceTable;
  readonly zone: ZoneTable;
}

/** Grows when the shape of a table changes: a file of another version is ignored. */
const VERSION = 1;

/** The tables of the last process, or `undefined` if there are none that can be read: the API has them too. */
export function loadTables(path: string): Tables | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const { version, services, zone } = JSON.parse(readFileSync(path, 'utf8')) as Tables & { version: number };
    return version === VERSION ? { services, zone } : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the file in one step. Meant for tmpfs: nothing is flushed. */
export function saveTables(path: string, tables: Tables): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(`${path}.new`, JSON.stringify({ version: VERSION, ...tables }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
