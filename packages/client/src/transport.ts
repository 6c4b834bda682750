/**
 * How a request reaches an API server: over the network, or by a call within the process. Both look alike to the client.
 */

export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path with query, starting with '/'. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Encoded already: no caller's object enters the server. */
  readonly body?: Uint8Array;
}

/** One of the reading methods may be called, once. */
export interface TransportResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The decoded body. In process this is the server's own shared, frozen object. */
  json(): Promise<unknown>;
  /** The decoded frames of a watch, until the server ends it or the request's signal aborts. */
  frames(): AsyncIterable<unknown>;
  /** The body as it comes (logs, metrics). */
  bytes(): AsyncIterable<Uint8Array>;
}

export interface Transport extends AsyncDisposable {
  /** @throws {TransportError} no answer came. Statuses of 400 and above are answers. */
  send(request: TransportRequest, signal?: AbortSignal): Promise<TransportResponse>;
}
