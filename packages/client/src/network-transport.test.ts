import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isConflict, isExpired, StatusError } from '@dure/api';
import { afterEach, describe, expect, it } from 'vitest';
import { createNetworkTransport, type NetworkTransport } from './network-transport.ts';
import { createClient } from './rest-client.ts';
import { type Thing, things } from './testing/things.ts';
import { TransportError } from './transport-error.ts';

type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const servers: Server[] = [];
const transports: NetworkTransport[] = [];

async function serve(handle: Handle): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += String(piece);
    handle(request, response, body);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function connect(options: Partial<Parameters<typeof createNetworkTransport>[0]> & { servers: string[] }) {
  const transport = createNetworkTransport(options);
  transports.push(transport);
  return { transport, client: createClient(transport, { userAgent: 'test/1' }) };
}

const json = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};
const metadata = { namespace: 'a', name: 'x', uid: 'u', resourceVersion: '5', creationTimestamp: '' };

afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport[Symbol.asyncDispose]()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe('client over the network', () => {
  it("asks with the API's paths, verbs, media types and bodies", async () => {
    const seen: string[] = [];
    const url = await serve((request, response, body) => {
      seen.push(`${request.method} ${request.url} ${request.headers['content-type'] ?? '-'} ${body}`);
      json(response, 200, { metadata });
    });
    const { client } = connect({ servers: [`${url}/prefix`], token: async () => 't0ken' });
    await client.get(things, { namespace: 'a', name: 'x' });
    await client.list(things, { labelSelector: 'a=b,c', limit: 2 });
    await client.create<Thing>(things, { metadata: { namespace: 'a', generateName: 'x-' } }, { fieldManager: 'me' });
    await client.updateStatus<Thing>(things, { apiVersion: 'test.dure/v1', kind: 'Thing', metadata });
    await client.patch(things, { namespace: 'a', name: 'x' }, { kind: 'merge', patch: { a: null } }, { subresource: 'status' });
    await client.patch(things, { namespace: 'a', name: 'x' }, { kind: 'apply', object: {}, fieldManager: 'f', force: true });
    await client.delete(things, { namespace: 'a', name: 'x' }, { propagationPolicy: 'Foreground', preconditions: { uid: 'u' } });
    await client.deleteCollection(things, { namespace: 'a', labelSelector: 'x', gracePeriodSeconds: 0 });
    await client.createSubresource(things, { namespace: 'a', name: 'x' }, 'binding', { b: 1 });
    const root = '/prefix/apis/test.dure/v1';
    expect(seen).toEqual([
      `GET ${root}/namespaces/a/things/x - `,
      `GET ${root}/things?labelSelector=a%3Db%2Cc&limit=2 - `,
      `POST ${root}/namespaces/a/things?fieldManager=me application/json {"metadata":{"namespace":"a","generateName":"x-"},"apiVersion":"test.dure/v1","kind":"Thing"}`,
      `PUT ${root}/namespaces/a/things/x/status application/json ${JSON.stringify({ apiVersion: 'test.dure/v1', kind: 'Thing', metadata })}`,
      `PATCH ${root}/namespaces/a/things/x/status application/merge-patch+json {"a":null}`,
      `PATCH ${root}/namespaces/a/things/x?fieldManager=f&force=true application/apply-patch+yaml {}`,
      `DELETE ${root}/namespaces/a/things/x application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground","preconditions":{"uid":"u"}}`,
      `DELETE ${root}/namespaces/a/things?labelSelector=x application/json {"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}`,
      `POST ${root}/namespaces/a/things/x/binding application/json {"b":1}`,
    ]);
  });

  it('refuses an empty name, which would mean the whole collection', async () => {
    const { client } = connect({ servers: ['http://127.0.0.1:1'] });
    expect(() => client.delete(things, { namespace: 'a', name: '' })).toThrow(RangeError);
    expect(() => client.delete(things, { name: 'x' })).toThrow(RangeError);
  });

  it('sends the token that is current at each request', async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      json(response, 200, { metadata });
    });
    let token = 'one';
    const { client, transport } = connect({ servers: [url], token: () => token });
    await client.get(things, { namespace: 'a', name: 'x' });
    token = 'two';
    await client.get(things, { namespace: 'a', name: 'x' });
    transport.setIdentity({});
    await client.get(things, { namespace: 'a', name: 'x' });
    expect(seen).toEqual(['Bearer one', 'Bearer two', undefined]);
  });

  it('throws the Status that the server sent', async () => {
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Conflict', message: 'no', code: 409 };
    const url = await serve((_request, response) => json(response, 409, status));
    const { client } = connect({ servers: [url] });
    const error: unknown = await client.get(things, { namespace: 'a', name: 'x' }).catch((caught: unknown) => caught);
    expect(isConflict(error)).toBe(true);
    expect(error).toMatchObject({ message: 'no' });
  });

  it('makes a Status of an answer that is none', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(503, { 'content-type': 'text/plain', 'retry-after': '7' }).end('busy'),
    );
    const { client } = connect({ servers: [url] });
    const error: unknown = await client.list(things).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(StatusError);
    expect(error).toMatchObject({ reason: 'ServiceUnavailable', retryAfterSeconds: 7 });
  });

  it('gives watch frames as they come, cut anywhere, and throws an ERROR frame', async () => {
    const url = await serve(async (request, response) => {
      expect(request.url).toContain('watch=true');
      response.writeHead(200, { 'content-type': 'application/json' });
      const text = `${JSON.stringify({ type: 'ADDED', object: { metadata: { ...metadata, name: 'ä' } } })}\n`;
      for (const byte of Buffer.from(text)) {
        response.write(Buffer.of(byte));
      }
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n{"type":"ERR`);
      await new Promise((resolve) => setImmediate(resolve));
      response.end('OR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired","message":"old"}}\n');
    });
    const { client } = connect({ servers: [url] });
    const seen: string[] = [];
    const failure = await (async () => {
      for await (const event of client.watch<Thing>(things, {}, new AbortController().signal))
        seen.push(`${event.type} ${event.object.metadata.name}`);
    })().catch((caught: unknown) => caught);
    expect(seen).toEqual(['ADDED ä', 'BOOKMARK x']);
    expect(isExpired(failure)).toBe(true);
  });

  it('ends a watch quietly on abort, and throws when the connection breaks', async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`${JSON.stringify({ type: 'ADDED', object: { metadata } })}\n`);
      if (request.url?.includes('broken')) setImmediate(() => response.destroy());
    });
    const { client } = connect({ servers: [url] });
    const stop = new AbortController();
    let count = 0;
    for await (const _event of client.watch<Thing>(things, {}, stop.signal)) {
      count += 1;
      stop.abort();
    }
    expect(count).toBe(1);
    const broken = (async () => {
      for await (const _event of client.watch<Thing>(things, { labelSelector: 'broken' }, new AbortController().signal));
    })();
    await expect(broken).rejects.toBeInstanceOf(TransportError);
  });

  it('says that no answer came, and whether the request may have arrived', async () => {
    const url = await serve((request) => request.socket.destroy());
    const cut: unknown = await connect({ servers: [url] })
      .client.get(things, { namespace: 'a', name: 'x' })
      .catch((caught: unknown) => caught);
    expect(cut).toBeInstanceOf(TransportError);
    expect(cut).toMatchObject({ mayHaveArrived: true });
    const refused: unknown = await connect({ servers: ['http://127.0.0.1:1'] })
      .client.get(things, { namespace: 'a', name: 'x' })
      .catch((caught: unknown) => caught);
    expect(refused).toMatchObject({ code: 'CLIENT_TRANSPORT', mayHaveArrived: false });
    expect(String(refused)).toContain('GET http://127.0.0.1:1/apis/test.dure/v1/namespaces/a/things/x');
  });

  it('goes to the next server when one cannot be reached, and stays there', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      json(response, 200, { metadata });
    });
    const { client } = connect({ servers: ['http://127.0.0.1:1', url] });
    await client.get(things, { namespace: 'a', name: 'x' });
    await client.get(things, { namespace: 'a', name: 'x' });
    expect(asked).toBe(2);
  });

  it('rejects with the reason of an aborted signal', async () => {
    const url = await serve(() => undefined);
    const stop = new AbortController();
    const pending = connect({ servers: [url] }).client.get(things, { namespace: 'a', name: 'x' }, stop.signal);
    const why = new Error('enough');
    setImmediate(() => stop.abort(why));
    await expect(pending).rejects.toBe(why);
  });

  it('gives up on a server that never answers', async () => {
    const url = await serve(() => undefined);
    const { client } = connect({ servers: [url], timeouts: { answerMs: 50 } });
    await expect(client.get(things, { namespace: 'a', name: 'x' })).rejects.toBeInstanceOf(TransportError);
  });
});
