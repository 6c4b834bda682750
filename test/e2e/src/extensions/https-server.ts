import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { json } from 'node:stream/consumers';

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

const PORT = 8443;

/** Serves on port 8443 with the certificate that is mounted at `/certs`, until SIGTERM. What a handler throws becomes a 500. */
export function serve(handler: Handler, options: ServerOptions = {}): void {
  const tls = { cert: readFileSync('/certs/tls.crt'), key: readFileSync('/certs/tls.key') };
  const server = createServer({ ...tls, ...options }, (request, response) => {
    Promise.resolve(handler(request, response)).catch((error: unknown) => {
      console.error(request.url, error);
      if (!response.headersSent) answer(response, 500, { message: String(error) });
    });
  });
  server.listen(PORT, '0.0.0.0', () => console.log('ready'));
  process.on('SIGTERM', () => process.exit(0));
}

export function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

// biome-ignore lint/suspicious/noExplicitAny: a body is whatever was sent; each program reads what it knows of it.
export async function bodyOf(request: IncomingMessage): Promise<any> {
  return json(request);
}
