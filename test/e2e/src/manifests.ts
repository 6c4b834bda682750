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

/** A Pod of one container that stays, for looking around from. */
export function pod(
  name: string,
  image: string,
  {
    node,
    command,
    spec = {},
    container = {},
  }: { readonly node?: string; readonly command?: readonly string[]; readonly spec?: object; readonly container?: object } = {},
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { run: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...(node === undefined ? {} : { nodeName: node }),
      ...spec,
      containers: [{ name: 'main', image, ...(command === undefined ? {} : { command }), ...container }],
    },
  });
}
