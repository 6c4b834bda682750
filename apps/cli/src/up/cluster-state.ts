import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '@dure/foundation';
import type { ProcessIdentity } from './process-identity.ts';

/** A node that `up` runs on this machine. */
export interface LocalNode {
  readonly name: string;
  readonly address: string;
  /** In namespaces of its own on the bridge; otherwise the machine itself. */
  readonly virtual: boolean;
}

/** What `up` started, so that another `up`, `status` or `down` finds it. Lies in the data directory. */
export interface ClusterState {
  readonly version: 1;
  readonly supervisor: ProcessIdentity;
  readonly listen: string;
  readonly nodes: readonly LocalNode[];
  readonly processes: Readonly<Record<string, ProcessIdentity>>;
}

const FILE = 'up.json';

/** @throws {Error} The file is there but cannot be read as a state: nothing is guessed. */
export function readState(dataDir: string): ClusterState | undefined {
  const path = join(dataDir, FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  let state: ClusterState;
  try {
    state = JSON.parse(text) as ClusterState;
  } catch (cause) {
    throw new Error(`read ${path}: not JSON`, { cause });
  }
  if (state.version !== 1) throw new Error(`read ${path}: unknown version ${JSON.stringify(state.version)}; made by a newer dure?`);
  return state;
}

/** Replaces the file in one step, so that a kill leaves the old one or the new one. */
export function writeState(dataDir: string, state: ClusterState): void {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  chmodSync(`${path}.new`, 0o600);
  renameSync(`${path}.new`, path);
}

export function removeState(dataDir: string): void {
  rmSync(join(dataDir, FILE), { force: true });
}
