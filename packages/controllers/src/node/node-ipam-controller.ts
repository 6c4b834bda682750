import { type Cidr, formatCidr, isNotFound, type Node, nodes, parseCidr } from '@dure/api';
import { referenceTo } from '@dure/client';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { nthSubnet, subnetCount } from './subnets.ts';

export interface NodeIpamOptions {
  /** `10.42.0.0/16`. */
  readonly clusterCidr: string;
  /** Prefix length of a node's part. Default: 24. */
  readonly nodePrefix?: number;
}

/** Gives every node a part of the Pod network of its own, once and for good. @throws {RangeError} The CIDR is none, or too small. */
export function nodeIpamController({ clusterCidr, nodePrefix = 24 }: NodeIpamOptions): ControllerFactory {
  const cluster: Cidr | undefined = parseCidr(clusterCidr);
  if (cluster === undefined) throw new RangeError(`node ipam: "${clusterCidr}" is no CIDR`);
  const count = subnetCount(cluster, nodePrefix);
  return (context) => {
    const { client, informers, clock } = context;
    const cache = informers.informer<Node>(nodes);
    const events = context.events('cidrAllocator');
    const queue = new WorkQueue({ clock });
    /** What was given out and the cache may not show yet. */
    const given = new Map<string, { readonly node: string; readonly uid: string }>();

    cache.addHandler({
      add: ({ metadata }) => queue.add(metadata.name),
      update: ({ metadata, spec }) => {
        if (!spec?.podCIDR) queue.add(metadata.name);
      },
      delete: ({ metadata }) => {
        for (const [cidr, { uid }] of given) if (uid === metadata.uid) given.delete(cidr);
        // Somebody may have waited for what is free now.
        for (const node of cache.list()) if (!node.spec?.podCIDR) queue.add(node.metadata.name);
      },
    });

    const reconciler: Reconciler = async (name, signal) => {
      const node = cache.get(name);
      if (node === undefined || node.spec?.podCIDR) return {};
      const { uid } = node.metadata;
      const taken = new Set(cache.list().flatMap(({ spec }) => spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : [])));
      const mine = [...given].find(([, owner]) => owner.uid === uid)?.[0];
      const podCIDR = mine ?? firstFree((cidr) => taken.has(cidr) || given.has(cidr));
      if (podCIDR === undefined) {
        events.record(referenceTo(node, nodes), 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`);
        return {};
      }
      // Remembered before it is sent: if no answer comes, the node may have it.
      given.set(podCIDR, { node: name, uid });
      try {
        const patch = { metadata: { uid }, spec: { podCIDR, podCIDRs: [podCIDR] } };
        await client.patch<Node>(nodes, { name }, { kind: 'strategic', patch }, {}, signal);
      } catch (error) {
        if (!isNotFound(error)) throw error;
        given.delete(podCIDR);
      }
      return {};
    };

    function firstFree(isTaken: (cidr: string) => boolean): string | undefined {
      for (let index = 0; index < count; index += 1) {
        const cidr = formatCidr(nthSubnet(cluster as Cidr, nodePrefix, index));
        if (!isTaken(cidr)) return cidr;
      }
      return undefined;
    }

    // One worker: two at once could give the same part away.
    return reconcilingController({ name: 'node-ipam', context, queue, reconciler, caches: [cache], workers: 1 });
  };
}
