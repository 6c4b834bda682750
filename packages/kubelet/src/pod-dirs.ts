import { join } from 'node:path';
import type { Pod } from '@dure/api';

/** Where a node keeps what belongs to Pods. */
export interface PodDirs {
  /** On disk, one directory per Pod uid. */
  readonly pods: string;
  /** On disk, one directory per Pod as upstream names them. */
  readonly logs: string;
  /** On tmpfs: rendered volumes, subPath mounts. */
  readonly memory: string;
  /** Profiles for `seccompProfile.localhostProfile`. */
  readonly seccomp: string;
}

/** `<namespace>_<name>_<uid>`, as log collectors expect it. */
export function logDirectoryOf(dirs: PodDirs, pod: Pod): string {
  return join(dirs.logs, `${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`);
}

export function podDirectoryOf(dirs: PodDirs, uid: string): string {
  return join(dirs.pods, uid);
}
