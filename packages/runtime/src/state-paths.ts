import { join } from 'node:path';

/** Where a sandbox's state lies: on tmpfs, so that a reboot forgets it together with the kernel. */
export interface SandboxPaths {
  readonly directory: string;
  readonly config: string;
  readonly status: string;
  readonly hostname: string;
  readonly networkNamespace: string;
  readonly ipcNamespace: string;
  readonly utsNamespace: string;
  readonly shm: string;
}

/** Where a container's state lies. `started`, `exit` and `socket` are written by `dure-run`. */
export interface ContainerPaths {
  readonly directory: string;
  readonly config: string;
  readonly plan: string;
  readonly started: string;
  readonly exit: string;
  /** Name within `directory`; connect through a descriptor of it, since socket names are short. */
  readonly socketName: string;
  /** Where the root is mounted, inside the container's mount namespace only. */
  readonly rootfs: string;
  /** On disk. */
  readonly layer: string;
  readonly upper: string;
  readonly work: string;
}

/** Names under the run directory (tmpfs) and the state directory (disk). Pure. */
export interface StatePaths {
  readonly sandboxes: string;
  readonly containers: string;
  readonly networkNamespaces: string;
  readonly binary: string;
  readonly layers: string;
  readonly bootId: string;
  sandbox(id: string): SandboxPaths;
  container(id: string): ContainerPaths;
}

export function statePaths(runDir: string, stateDir: string): StatePaths {
  const sandboxes = join(runDir, 'sandboxes');
  const containers = join(runDir, 'containers');
  const networkNamespaces = join(runDir, 'netns');
  const layers = join(stateDir, 'containers');
  return {
    sandboxes,
    containers,
    networkNamespaces,
    binary: join(runDir, 'bin', 'dure-run'),
    layers,
    bootId: join(runDir, 'boot-id'),
    sandbox: (id) => {
      const directory = join(sandboxes, id);
      return {
        directory,
        config: join(directory, 'config.json'),
        status: join(directory, 'status.json'),
        hostname: join(directory, 'hostname'),
        networkNamespace: join(networkNamespaces, id),
        ipcNamespace: join(directory, 'ipc'),
        utsNamespace: join(directory, 'uts'),
        shm: join(directory, 'shm'),
      };
    },
    container: (id) => {
      const directory = join(containers, id);
      const layer = join(layers, id);
      return {
        directory,
        config: join(directory, 'config.json'),
        plan: join(directory, 'plan'),
        started: join(directory, 'started'),
        exit: join(directory, 'exit'),
        socketName: 'socket',
        rootfs: join(directory, 'rootfs'),
        layer,
        upper: join(layer, 'upper'),
        work: join(layer, 'work'),
      };
    },
  };
}
