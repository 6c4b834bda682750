import type { Duplex } from 'node:stream';

/** Where an agent listens. */
export interface NodeEndpoint {
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
}

export interface ForwardRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array;
}

export interface ForwardResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Reaches node agents with the server's own client certificate, and checks that who answers holds a certificate of the cluster
 * for that node. Also reaches Pods (plain or TLS, unverified: their certificates are their own affair).
 */
export interface NodeDialer {
  request(to: NodeEndpoint, request: ForwardRequest, signal: AbortSignal): Promise<ForwardResponse>;
  /** An authenticated byte stream to the agent, for upgrades. */
  connect(to: NodeEndpoint, signal: AbortSignal): Promise<Duplex>;
}

/** Reaches Pod addresses, for the proxy subresources. */
export interface PodDialer {
  request(
    target: { readonly host: string; readonly port: number; readonly tls: boolean },
    request: ForwardRequest,
    signal: AbortSignal,
  ): Promise<ForwardResponse>;
  connect(target: { readonly host: string; readonly port: number; readonly tls: boolean }, signal: AbortSignal): Promise<Duplex>;
}
