import type { Container, EphemeralContainer, Pod } from '@dure/api';

/** What a container is to its Pod; decides when it starts, restarts and stops. */
export type ContainerKind = 'init' | 'sidecar' | 'regular' | 'ephemeral';

/** A container of any kind; ephemeral ones have the same shape plus a target. */
export type AnyContainer = Container & Pick<EphemeralContainer, 'targetContainerName'>;

export interface NamedContainer {
  readonly kind: ContainerKind;
  readonly spec: AnyContainer;
}

/** Every container of the Pod in starting order: init and sidecars as listed, then regular ones, then ephemeral ones. */
export function containersOf(pod: Pod): readonly NamedContainer[] {
  return [
    ...(pod.spec?.initContainers ?? []).map((spec): NamedContainer => ({ kind: isSidecar(spec) ? 'sidecar' : 'init', spec })),
    ...(pod.spec?.containers ?? []).map((spec): NamedContainer => ({ kind: 'regular', spec })),
    ...(pod.spec?.ephemeralContainers ?? []).map((spec): NamedContainer => ({ kind: 'ephemeral', spec })),
  ];
}

export function findContainer(pod: Pod, name: string): NamedContainer | undefined {
  return containersOf(pod).find(({ spec }) => spec.name === name);
}

/** An init container that keeps running beside the regular ones. @see KEP-753 */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** `namespace/name`, for logs and map keys. */
export function podKey(pod: Pod): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}

/** `name_namespace(uid)`, the form in which upstream's messages name a Pod. */
export function podFullName(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}

/** `spec.containers{web}`: the field path that Events about a container carry. */
export function containerFieldPath({ kind, spec }: NamedContainer): string {
  if (kind === 'regular') return `spec.containers{${spec.name}}`;
  return kind === 'ephemeral' ? `spec.ephemeralContainers{${spec.name}}` : `spec.initContainers{${spec.name}}`;
}

/** Labels by which sandboxes and containers find their Pod again. @see CRI conventions of every runtime. */
export const LABEL = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;

/** Facts that a restarted agent needs about a container. */
export const ANNOTATION = {
  hash: 'io.kubernetes.container.hash',
  kind: 'dure.dev/container-kind',
  imageId: 'dure.dev/image-id',
  terminationMessageFile: 'dure.dev/termination-message-file',
  terminationMessagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  uid: 'dure.dev/uid',
  gid: 'dure.dev/gid',
  groups: 'dure.dev/groups',
  stopSignal: 'dure.dev/stop-signal',
} as const;
