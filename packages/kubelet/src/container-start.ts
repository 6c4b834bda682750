import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Pod } from '@dure/api';
import { isAbort, messageOf } from '@dure/foundation';
import type { ContainerConfig, MountSpec, SandboxStatus } from '@dure/runtime';
import { containerConfigOf } from './config/container-config.ts';
import { environmentOf } from './config/environment.ts';
import { hostnameOf } from './config/pod-hostname.ts';
import { ImageFailure } from './images/image-error.ts';
import { runHook } from './lifecycle-hook.ts';
import type { PodDeps } from './pod-deps.ts';
import { podDirectoryOf } from './pod-dirs.ts';
import type { NamedContainer } from './pod-identity.ts';
import { sandboxFileMounts } from './sandbox-files.ts';

/** The container did not come to run. `reason` and `message` are what its status shows while it waits. */
export class ContainerStartFailure extends Error {
  override readonly name = 'ContainerStartFailure';
  readonly code = 'KUBELET_CONTAINER_START';
  readonly reason: string;
  /** When to try again, wall time; `undefined`: the usual time for things that somebody must put right. */
  readonly retryAtMs: number | undefined;

  constructor(reason: string, message: string, retryAtMs?: number, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
    this.retryAtMs = retryAtMs;
  }
}

export interface StartInput {
  readonly pod: Pod;
  readonly container: NamedContainer;
  readonly attempt: number;
  readonly sandbox: SandboxStatus;
  readonly podIPs: readonly string[];
  /** Running container ids by name, for `targetContainerName`. */
  readonly runningId: (name: string) => string | undefined;
}

/** Image, configuration, creation, start, postStart hook, with the Events of each. @throws {ContainerStartFailure} @throws the signal's reason. */
export async function startContainer(deps: PodDeps, input: StartInput, signal: AbortSignal): Promise<void> {
  const { runtime, events } = deps;
  const { pod, container, sandbox } = input;
  const { name } = container.spec;
  const fail = (reason: string, error: unknown, retryAtMs?: number): ContainerStartFailure => {
    // Of an image the message is whole already, and the image manager has told it; this one says what it means for the container.
    const message = error instanceof ImageFailure ? error.message : messageOf(error);
    events.record(pod, container, 'Warning', 'Failed', `Error: ${error instanceof ImageFailure ? reason : message}`);
    return new ContainerStartFailure(reason, message, retryAtMs, { cause: error });
  };

  const config = await configure(deps, input, signal).catch((error: unknown) => {
    if (isAbort(error, signal)) throw error;
    if (error instanceof ImageFailure) throw fail(error.reason, error, error.retryAtMs);
    throw fail('CreateContainerConfigError', error);
  });

  let id: string;
  try {
    id = await runtime.createContainer(sandbox.id, config, signal);
  } catch (error) {
    if (isAbort(error, signal)) throw error;
    throw fail('CreateContainerError', error);
  }
  events.record(pod, container, 'Normal', 'Created', `Created container: ${name}`);

  try {
    await runtime.startContainer(id, signal);
  } catch (error) {
    if (isAbort(error, signal)) throw error;
    throw fail('RunContainerError', error);
  }
  events.record(pod, container, 'Normal', 'Started', `Started container ${name}`);
  await postStart(deps, input, id, signal);
}

async function configure(
  deps: PodDeps,
  { pod, container, attempt, podIPs, runningId }: StartInput,
  signal: AbortSignal,
): Promise<ContainerConfig> {
  const { images, volumes, node, dirs } = deps;
  const { spec } = container;
  const [image, services] = await Promise.all([images.ensure(pod, container, signal), deps.services(signal)]);
  const facts = { podIPs, hostIPs: node.ips(), allocatable: node.allocatable() };
  const env = await environmentOf({
    pod,
    container: spec,
    objects: deps.objects,
    services,
    facts,
    fileValue: (volume, path, key) => volumes.envFileValue(pod, volume, path, key),
  });
  const terminationMessageFile = join(podDirectoryOf(dirs, pod.metadata.uid), 'containers', spec.name, `termination-${attempt}`);
  const [volumeMounts] = await Promise.all([volumes.mountsFor(pod, spec, env), makeTerminationFile(terminationMessageFile)]);
  const terminationMount: MountSpec = {
    source: terminationMessageFile,
    target: spec.terminationMessagePath ?? '/dev/termination-log',
    readOnly: false,
    propagation: 'private',
  };
  const targetContainerId = spec.targetContainerName === undefined ? undefined : runningId(spec.targetContainerName);
  return containerConfigOf({
    pod,
    container,
    attempt,
    image,
    env,
    hostname: hostnameOf(pod, node.clusterDomain, node.hostname).hostname,
    mounts: [...sandboxFileMounts(pod, spec, dirs), ...volumeMounts, terminationMount],
    nodeMemoryBytes: node.memoryBytes,
    seccompDir: dirs.seccomp,
    terminationMessageFile,
    ...(targetContainerId === undefined ? {} : { targetContainerId }),
  });
}

/** Whatever user the program becomes must be able to write it. */
async function makeTerminationFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, '', { mode: 0o666 });
  await chmod(path, 0o666);
}

async function postStart(deps: PodDeps, { pod, container, podIPs }: StartInput, containerId: string, signal: AbortSignal): Promise<void> {
  const handler = container.spec.lifecycle?.postStart;
  if (handler === undefined) return;
  const { runtime, clock, events } = deps;
  try {
    await runHook(handler, { container: container.spec, containerId, podIP: podIPs[0] ?? '127.0.0.1' }, runtime, clock, signal);
  } catch (error) {
    if (isAbort(error, signal)) throw error;
    events.record(pod, container, 'Warning', 'FailedPostStartHook', `PostStartHook failed: ${messageOf(error)}`);
    events.record(pod, container, 'Normal', 'Killing', `FailedPostStartHook`);
    await runtime.stopContainer(containerId, Number(pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000);
    throw new ContainerStartFailure('PostStartHookError', messageOf(error), undefined, { cause: error });
  }
}
