import { eventually, type Kubectl } from '@dure/test-support';

/** What tests read of a Pod. */
export interface PodShape {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: PodStatusShape;
}

export interface PodStatusShape {
  readonly phase: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  readonly containerStatuses?: readonly {
    readonly name: string;
    readonly containerID?: string;
    readonly restartCount: number;
    readonly state?: { readonly running?: object };
    readonly lastState?: { readonly terminated?: { readonly reason: string; readonly exitCode: number } };
  }[];
}

const POD_MS = 120_000;

export function container(image: string, command: readonly string[], further: object): object {
  return { image, command, ...further };
}

export function podManifest(
  name: string,
  containers: readonly object[],
  { labels = {}, spec = {} }: { readonly labels?: object; readonly spec?: object } = {},
): string {
  const metadata = { name, labels };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { terminationGracePeriodSeconds: 1, ...spec, containers } });
}

/** The Pod as soon as it is as wanted. @throws {Error} with what `kubectl describe` says, if it takes too long. */
export async function untilPod(
  kubectl: Kubectl,
  name: string,
  what: string,
  isSo: (pod: PodShape) => boolean | undefined,
): Promise<PodShape> {
  try {
    return await eventually(
      `pod ${name} ${what}`,
      async () => {
        const pod = await kubectl.json<PodShape>(['get', 'pod', name]);
        return isSo(pod) === true ? pod : undefined;
      },
      POD_MS,
    );
  } catch (error) {
    throw new Error(`pod ${name}: not seen that it ${what}\n${await kubectl.run(['describe', 'pod', name])}`, { cause: error });
  }
}

/** A container's id as the runtime on its node knows it. */
export function containerId({ containerStatuses = [] }: PodStatusShape, name: string): string {
  const found = containerStatuses.find((status) => status.name === name)?.containerID;
  if (found === undefined) throw new Error(`container ${name} has no id yet`);
  return found.slice(found.indexOf('://') + 3);
}
