import { setMaxListeners } from 'node:events';
import { fromJsonText } from '@dure/api';
import type { UserInfo } from '../contract/user.ts';
import { iterate } from '../watch/feed.ts';
import type { ApiResponse, RequestHandler } from './exchange.ts';

/** The client's Transport, spelled again here since the server may not import the client. */
export interface InProcessRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface InProcessResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  json(): Promise<unknown>;
  frames(): AsyncIterable<unknown>;
  bytes(): AsyncIterable<Uint8Array>;
}

export interface InProcessTransport extends AsyncDisposable {
  send(request: InProcessRequest, signal?: AbortSignal): Promise<InProcessResponse>;
}

/**
 * A door without sockets for parts in the same process: answers are the server's own shared, deeply frozen objects.
 * Disposing it ends the watches that came through it.
 */
export function inProcessTransport(handler: RequestHandler, user: UserInfo, userAgent: string, closed: AbortSignal): InProcessTransport {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // One for each request that runs.
  return {
    async send({ method, path, headers, body = new Uint8Array() }, signal) {
      const linked = linkedSignal([stop.signal, closed, ...(signal === undefined ? [] : [signal])]);
      linked.signal.throwIfAborted();
      const mark = path.indexOf('?');
      const response = await handler({
        method,
        path: mark < 0 ? path : path.slice(0, mark),
        query: new URLSearchParams(mark < 0 ? '' : path.slice(mark + 1)),
        headers: { 'user-agent': userAgent, ...headers },
        remoteAddress: '',
        user,
        body: async () => body,
        async *bodyStream() {
          yield body;
        },
        signal: linked.signal,
      });
      if (response.body.kind !== 'frames' && response.body.kind !== 'stream') linked.release();
      return answer(response, linked.release);
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the transport was closed'));
    },
  };
}

async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const chunk of chunks) {
    const lines = `${held}${decoder.decode(chunk, { stream: true })}`.split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield fromJsonText(line);
  }
  if (held.trim() !== '') yield fromJsonText(held);
}

/**
 * A signal that aborts with the first of `sources`, until released. `AbortSignal.any` would leave something behind on the long-lived
 * sources for each of the millions of requests that pass here.
 */
function linkedSignal(sources: readonly AbortSignal[]): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const unlink: (() => void)[] = [];
  setMaxListeners(0, ...sources); // One caller's signal may stand for many requests.
  for (const source of sources) {
    if (source.aborted) controller.abort(source.reason);
    const onAbort = (): void => controller.abort(source.reason);
    source.addEventListener('abort', onAbort, { once: true });
    unlink.push(() => source.removeEventListener('abort', onAbort));
  }
  return {
    signal: controller.signal,
    release() {
      for (const step of unlink.splice(0)) step();
    },
  };
}

function answer({ status, headers, body }: ApiResponse, release: () => void): InProcessResponse {
  const flat = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : value.join(', ')]),
  );
  return {
    status,
    headers: flat,
    async json() {
      if (body.kind === 'document') return body.document.value();
      if (body.kind !== 'stream') throw new TypeError(`json: the answer is ${body.kind}, not one document`);
      const chunks: Uint8Array[] = [];
      try {
        for await (const chunk of body.chunks) chunks.push(chunk);
      } finally {
        release();
      }
      return fromJsonText(Buffer.concat(chunks).toString('utf8')) as unknown;
    },
    async *frames() {
      try {
        if (body.kind === 'frames') for await (const frame of iterate(body.frames)) yield frame.value();
        // A watch that another server answers comes as its bytes.
        else if (body.kind === 'stream') yield* jsonLines(body.chunks);
        else if (body.kind === 'document') yield body.document.value();
      } finally {
        release();
      }
    },
    async *bytes() {
      try {
        if (body.kind === 'document') yield body.document.bytes();
        else if (body.kind === 'stream') yield* body.chunks;
        else if (body.kind === 'frames') for await (const frame of iterate(body.frames)) yield frame.bytes();
      } finally {
        release();
      }
    },
  };
}
