import { type KubeObject, serviceUnavailable } from '@dure/api';
import type { NodeEndpoint } from '../contract/node-dialer.ts';

interface NodeShape extends KubeObject {
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port?: number } };
  };
}

const KUBELET_PORT = 10250;
/** Which of a node's addresses is tried, best first. */
const PREFERENCE: readonly string[] = ['InternalIP', 'Hostname', 'InternalDNS', 'ExternalDNS', 'ExternalIP'];

/** Where the agent of `node` listens. @throws {StatusError} ServiceUnavailable: the Node has no address yet. */
export function nodeEndpoint(node: KubeObject): NodeEndpoint {
  const { status, metadata } = node as NodeShape;
  for (const type of PREFERENCE) {
    const found = status?.addresses?.find((address) => address.type === type);
    if (found !== undefined) {
      return { nodeName: metadata.name, host: found.address, port: status?.daemonEndpoints?.kubeletEndpoint?.Port ?? KUBELET_PORT };
    }
  }
  throw serviceUnavailable(`node ${JSON.stringify(metadata.name)} has no address that the server could reach`);
}
