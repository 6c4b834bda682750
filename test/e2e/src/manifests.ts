/** A Deployment of the web image and a Service in front of it. */
export function webDeployment({
  name = 'web',
  image,
  replicas,
}: {
  readonly name?: string;
  readonly image: string;
  readonly replicas: number;
}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name, labels: { app: name } },
        spec: {
          replicas,
          selector: { matchLabels: { app: name } },
          strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
          template: {
            metadata: { labels: { app: name } },
            spec: {
              terminationGracePeriodSeconds: 10,
              containers: [
                {
                  name: 'web',
                  image,
                  ports: [{ name: 'http', containerPort: 80 }],
                  readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1 },
                  lifecycle: { preStop: { sleep: { seconds: 1 } } },
                },
              ],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
      },
    ],
  });
}

export interface PodOptions {
  readonly node?: string;
  readonly command?: readonly string[];
  /** Over what the Pod's `spec` has otherwise. */
  readonly spec?: object;
  /** Over what its one container has otherwise. */
  readonly container?: object;
  readonly metadata?: object;
}

/** A Pod of one container that stays, for looking around from. */
export function podObject(
  name: string,
  image: string,
  { node, command, spec = {}, container = {}, metadata = {} }: PodOptions = {},
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { run: name }, ...metadata },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...(node === undefined ? {} : { nodeName: node }),
      containers: [{ name: 'main', image, ...(command === undefined ? {} : { command }), ...container }],
      ...spec,
    },
  };
}

/** The same as text. */
export function pod(name: string, image: string, options: PodOptions = {}): string {
  return JSON.stringify(podObject(name, image, options));
}

/** Many objects in one manifest. */
export function list(...items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
