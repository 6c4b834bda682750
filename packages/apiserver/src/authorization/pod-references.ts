import type { KubeObject } from '@dure/api';

/** Objects of its own namespace that a Pod's node has to read to run it. */
export interface PodReferences {
  readonly secrets: ReadonlySet<string>;
  readonly configMaps: ReadonlySet<string>;
  readonly persistentVolumeClaims: ReadonlySet<string>;
  readonly serviceAccount: string | undefined;
}

interface Named {
  readonly name?: string;
  readonly secretName?: string;
}

interface EnvSource {
  readonly secretRef?: Named;
  readonly configMapRef?: Named;
}

interface EnvVariable {
  readonly valueFrom?: { readonly secretKeyRef?: Named; readonly configMapKeyRef?: Named };
}

interface ContainerShape {
  readonly env?: readonly EnvVariable[];
  readonly envFrom?: readonly EnvSource[];
}

interface VolumeShape {
  readonly name: string;
  readonly secret?: Named;
  readonly configMap?: Named;
  readonly persistentVolumeClaim?: { readonly claimName?: string };
  readonly ephemeral?: unknown;
  readonly projected?: { readonly sources?: readonly { readonly secret?: Named; readonly configMap?: Named }[] | null };
  readonly csi?: { readonly nodePublishSecretRef?: Named };
}

interface PodShape extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly imagePullSecrets?: readonly Named[];
    readonly containers?: readonly ContainerShape[];
    readonly initContainers?: readonly ContainerShape[];
    readonly ephemeralContainers?: readonly ContainerShape[];
    readonly volumes?: readonly VolumeShape[];
  };
}

export function nodeNameOf(pod: KubeObject): string | undefined {
  return (pod as PodShape).spec?.nodeName;
}

/** Pure. @see https://kubernetes.io/docs/reference/access-authn-authz/node/ */
export function podReferences(pod: KubeObject): PodReferences {
  const { spec = {} } = pod as PodShape;
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  const env = containers.flatMap((container) => container.env ?? []);
  const envFrom = containers.flatMap((container) => container.envFrom ?? []);
  const volumes = spec.volumes ?? [];
  const projected = volumes.flatMap((volume) => volume.projected?.sources ?? []);
  const names = (found: readonly (string | undefined)[]): ReadonlySet<string> =>
    new Set(found.filter((name) => name !== undefined && name !== '') as string[]);
  return {
    secrets: names([
      ...(spec.imagePullSecrets ?? []).map(({ name }) => name),
      ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
      ...envFrom.map(({ secretRef }) => secretRef?.name),
      ...volumes.flatMap(({ secret, csi }) => [secret?.secretName, csi?.nodePublishSecretRef?.name]),
      ...projected.map(({ secret }) => secret?.name),
    ]),
    configMaps: names([
      ...env.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name),
      ...envFrom.map(({ configMapRef }) => configMapRef?.name),
      ...volumes.map(({ configMap }) => configMap?.name),
      ...projected.map(({ configMap }) => configMap?.name),
    ]),
    persistentVolumeClaims: names([
      ...volumes.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName),
      ...volumes.filter(({ ephemeral }) => ephemeral !== undefined).map(({ name }) => `${pod.metadata.name}-${name}`),
    ]),
    serviceAccount: spec.serviceAccountName,
  };
}
