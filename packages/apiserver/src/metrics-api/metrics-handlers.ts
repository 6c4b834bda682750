import {
  badRequest,
  type CompiledLabelSelector,
  type JsonObject,
  type KubeObject,
  notFound,
  parseLabelSelector,
  SelectorError,
} from '@dure/api';
import type { MetricsSource, UsageSample } from '../contract/metrics-source.ts';
import type { ResourceCall, ResourceHandler } from '../request/call.ts';
import { unsupportedMethod } from '../request/status-response.ts';
import type { SubresourceDeps } from '../subresources/deps.ts';

type Deps = Pick<SubresourceDeps, 'router' | 'reads'> & { readonly source: MetricsSource };

interface PodShape extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
}

/** GET and LIST of NodeMetrics. */
export function nodeMetricsHandler({ router, reads, source }: Deps): ResourceHandler {
  return async (call, kind) => {
    const { info, signal } = call;
    if (info.verb === 'get') {
      const node = await reads.get('', 'nodes', undefined, info.name);
      const sample = node === undefined ? undefined : await source.node(info.name, signal);
      if (node === undefined || sample === undefined) throw notFound({ group: 'metrics.k8s.io', resource: 'nodes' }, info.name);
      return router.present(call, kind, nodeMetrics(node, sample));
    }
    if (info.verb !== 'list') throw unsupportedMethod(kind.definition);
    const selector = selectorOf(call);
    const nodes = await reads.list('', 'nodes', { where: ({ metadata }) => selector.matches(metadata.labels) });
    const measured = await Promise.all(nodes.map(async (node) => [node, await source.node(node.metadata.name, signal)] as const));
    return router.presentList(
      call,
      kind,
      measured.flatMap(([node, sample]) => (sample === undefined ? [] : [nodeMetrics(node, sample)])),
    );
  };
}

/** GET and LIST of PodMetrics: asks only the nodes that run the Pods in question. */
export function podMetricsHandler({ router, reads, source }: Deps): ResourceHandler {
  return async (call, kind) => {
    const { info, signal } = call;
    if (info.verb !== 'get' && info.verb !== 'list') throw unsupportedMethod(kind.definition);
    const selector = selectorOf(call);
    const fields = call.request.query.get('fieldSelector') ?? '';
    const onlyName = info.name === '' ? /^metadata\.name==?(.+)$/.exec(fields)?.[1] : info.name;
    const pods = (await reads.list('', 'pods', {
      ...(info.namespace === '' ? {} : { namespace: info.namespace }),
      where: ({ metadata }) => (onlyName === undefined || metadata.name === onlyName) && selector.matches(metadata.labels),
    })) as readonly PodShape[];
    const byNode = new Map<string, PodShape[]>();
    for (const pod of pods) {
      const nodeName = pod.spec?.nodeName ?? '';
      if (nodeName !== '') byNode.set(nodeName, [...(byNode.get(nodeName) ?? []), pod]);
    }
    const measured = await Promise.all(
      [...byNode].map(async ([nodeName, wanted]) => {
        const usages = new Map((await source.pods(nodeName, signal)).map((usage) => [`${usage.namespace}/${usage.name}`, usage]));
        return wanted.flatMap((pod) => {
          const usage = usages.get(`${pod.metadata.namespace}/${pod.metadata.name}`);
          const [first] = usage?.containers ?? [];
          return usage === undefined || first === undefined ? [] : [podMetrics(pod, first.usage, usage.containers)];
        });
      }),
    );
    const items = measured.flat();
    if (info.verb === 'list') return router.presentList(call, kind, items);
    const [item] = items;
    if (item === undefined) throw notFound({ group: 'metrics.k8s.io', resource: 'pods' }, `${info.namespace}/${info.name}`);
    return router.present(call, kind, item);
  };
}

function nodeMetrics({ metadata }: KubeObject, sample: UsageSample): JsonObject {
  return {
    kind: 'NodeMetrics',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: {
      name: metadata.name,
      creationTimestamp: sample.timestamp,
      ...(metadata.labels === undefined ? {} : { labels: { ...metadata.labels } }),
    },
    timestamp: sample.timestamp,
    window: windowOf(sample),
    usage: usageOf(sample),
  };
}

function podMetrics(
  { metadata }: KubeObject,
  sample: UsageSample,
  containers: readonly { readonly name: string; readonly usage: UsageSample }[],
): JsonObject {
  const { name, namespace = '', labels } = metadata;
  return {
    kind: 'PodMetrics',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: { name, namespace, creationTimestamp: sample.timestamp, ...(labels === undefined ? {} : { labels: { ...labels } }) },
    timestamp: sample.timestamp,
    window: windowOf(sample),
    containers: containers.map((container) => ({ name: container.name, usage: usageOf(container.usage) })),
  };
}

function windowOf({ windowMs }: UsageSample): string {
  return `${(windowMs / 1000).toFixed(3).replace(/\.?0+$/, '')}s`;
}

function usageOf({ cpuNanoCores, memoryBytes }: UsageSample): JsonObject {
  return { cpu: `${Math.round(cpuNanoCores)}n`, memory: `${Math.round(memoryBytes / 1024)}Ki` };
}

function selectorOf({ request }: ResourceCall): CompiledLabelSelector {
  try {
    return parseLabelSelector(request.query.get('labelSelector') ?? '');
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}
