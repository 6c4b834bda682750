import { createHash } from 'node:crypto';
import type { Pod } from '@dure/api';
import type { ImageConfig } from '@dure/images';
import type { ContainerConfig, MountSpec, NamespaceMode, RootFilesystem } from '@dure/runtime';
import { ANNOTATION, LABEL, type NamedContainer } from '../pod-identity.ts';
import { bytesOf, cpuMillisOf } from '../resource-amount.ts';
import { ContainerConfigError } from './config-error.ts';
import { expandReferences } from './expansion.ts';
import type { AccountFiles } from './image-user.ts';
import { oomScoreAdjOf } from './qos.ts';
import { securityOf } from './security.ts';

/** What a container runs from. */
export interface ContainerImage {
  readonly config: ImageConfig;
  readonly rootfs: RootFilesystem;
  /** `repo@sha256:...`, for the status. */
  readonly imageID: string;
  readonly accounts: AccountFiles;
}

export interface ContainerInput {
  readonly pod: Pod;
  readonly container: NamedContainer;
  readonly attempt: number;
  readonly image: ContainerImage;
  readonly env: ReadonlyMap<string, string>;
  readonly hostname: string;
  readonly mounts: readonly MountSpec[];
  readonly nodeMemoryBytes: number;
  readonly seccompDir: string;
  /** On the host; mounted at the container's `terminationMessagePath`. */
  readonly terminationMessageFile: string;
  /** Runtime id of the container whose processes an ephemeral one wants to see. */
  readonly targetContainerId?: string;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** One container in CRI's words. Pure. @throws {ContainerConfigError} It has no command, or its identity breaks a rule. */
export function containerConfigOf(input: ContainerInput): ContainerConfig {
  const { pod, container, attempt, image, env, mounts, terminationMessageFile } = input;
  const { spec } = container;
  const security = securityOf({
    pod,
    container: spec,
    imageUser: image.config.user,
    accounts: image.accounts,
    seccompDir: input.seccompDir,
  });
  const expand = (text: string): string => expandReferences(text, (name) => env.get(name));
  const command = commandOf(input, expand);
  const cpuRequestMillis = cpuMillisOf(spec.resources?.requests?.cpu);
  const cpuLimitMillis = cpuMillisOf(spec.resources?.limits?.cpu);
  const memoryRequestBytes = bytesOf(spec.resources?.requests?.memory);
  const memoryLimitBytes = bytesOf(spec.resources?.limits?.memory);
  const stopSignal = spec.lifecycle?.stopSignal ?? image.config.stopSignal ?? 'SIGTERM';
  return {
    metadata: { name: spec.name, attempt },
    labels: {
      [LABEL.podName]: pod.metadata.name,
      [LABEL.podNamespace]: pod.metadata.namespace ?? '',
      [LABEL.podUid]: pod.metadata.uid,
      [LABEL.containerName]: spec.name,
    },
    annotations: {
      [ANNOTATION.hash]: containerHash(container),
      [ANNOTATION.kind]: container.kind,
      [ANNOTATION.imageId]: image.imageID,
      [ANNOTATION.terminationMessageFile]: terminationMessageFile,
      [ANNOTATION.terminationMessagePolicy]: spec.terminationMessagePolicy ?? 'File',
      [ANNOTATION.uid]: String(security.uid),
      [ANNOTATION.gid]: String(security.gid),
      // The process has its primary group among the others, and the status says what the process has.
      [ANNOTATION.groups]: [...new Set([security.gid, ...security.supplementalGroups])].join(','),
      [ANNOTATION.stopSignal]: stopSignal,
    },
    image: spec.image ?? '',
    rootfs: image.rootfs,
    command,
    env: environmentList(input),
    workingDir: spec.workingDir !== undefined && spec.workingDir !== '' ? spec.workingDir : image.config.workingDir || '/',
    mounts,
    devices: [],
    security,
    resources: {
      ...(cpuRequestMillis === undefined ? {} : { cpuRequestMillis }),
      ...(cpuLimitMillis === undefined ? {} : { cpuLimitMillis }),
      ...(memoryRequestBytes === undefined ? {} : { memoryRequestBytes }),
      ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
      oomScoreAdj: oomScoreAdjOf(pod, spec, input.nodeMemoryBytes),
    },
    logPath: `${spec.name}/${attempt}.log`,
    stdin: spec.stdin ?? false,
    stdinOnce: spec.stdinOnce ?? false,
    tty: spec.tty ?? false,
    stopSignal,
    pid: pidModeOf(input),
  };
}

/** Changes when the container must be replaced: in 1.36 a running Pod's images may be changed, nothing else of a container that needs a restart. */
export function containerHash({ spec }: NamedContainer): string {
  return createHash('sha256')
    .update(JSON.stringify([spec.name, spec.image]))
    .digest('hex')
    .slice(0, 16);
}

/** `command` replaces the entrypoint and drops the image's arguments; `args` alone keeps the entrypoint. */
function commandOf({ container, image }: ContainerInput, expand: (text: string) => string): readonly string[] {
  const { command = [], args = [], image: name } = container.spec;
  const own = command.map(expand);
  const ownArgs = args.map(expand);
  const entrypoint = own.length > 0 ? own : image.config.entrypoint;
  const rest = ownArgs.length > 0 ? ownArgs : own.length > 0 ? [] : image.config.cmd;
  const argv = [...entrypoint, ...rest];
  if (argv.length === 0) throw new ContainerConfigError(`no command specified: neither the container nor its image ${name} names one`);
  return argv;
}

function environmentList({ image, env, hostname, container }: ContainerInput): readonly string[] {
  const merged = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
  ]);
  if (container.spec.tty === true) merged.set('TERM', 'xterm');
  for (const variable of image.config.env) {
    const at = variable.indexOf('=');
    if (at > 0) merged.set(variable.slice(0, at), variable.slice(at + 1));
  }
  for (const [name, value] of env) merged.set(name, value);
  return [...merged].map(([name, value]) => `${name}=${value}`);
}

function pidModeOf({ pod, targetContainerId }: ContainerInput): NamespaceMode {
  if (pod.spec?.hostPID === true) return 'node';
  if (pod.spec?.shareProcessNamespace === true) return 'pod';
  return targetContainerId === undefined ? 'container' : { target: targetContainerId };
}
