/** The container cannot be described: a missing ConfigMap, a user that breaks a rule. Shown as the waiting reason CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  override readonly name = 'ContainerConfigError';
  readonly code = 'KUBELET_CONTAINER_CONFIG';
}
