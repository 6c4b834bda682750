import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { exitStatus, type RemoteStreams, type StreamRequest } from './remote-streams.ts';
import { websocketStreams } from './websocket-streams.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function connect(
  protocol: string,
  request: StreamRequest,
): Promise<{ readonly client: WebSocket; readonly remote: RemoteStreams; readonly messages: Buffer[] }> {
  const http = createServer();
  server = http;
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => protocol });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const remote = new Promise<RemoteStreams>((resolve) => sockets.on('connection', (socket) => resolve(websocketStreams(socket, request))));
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/`, protocol);
  const messages: Buffer[] = [];
  client.on('message', (data: Buffer) => messages.push(Buffer.from(data)));
  await new Promise((resolve) => client.once('open', resolve));
  return { client, remote: await remote, messages };
}

const all: StreamRequest = { stdin: true, stdout: true, stderr: true, tty: false };

async function readAll(stream: RemoteStreams['stdin']): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

describe('a remote command over a WebSocket', () => {
  it('reads a channel from a text message as from a binary one', async () => {
    const { client, remote } = await connect('v4.channel.k8s.io', all);
    client.send('\0typed\n', { binary: false });
    client.send(Buffer.from('\0more'), { binary: true }, () => client.close());
    expect(await readAll(remote.stdin)).toBe('typed\nmore');
  });

  it('puts each stream on its channel and ends with the status', async () => {
    const { client, remote, messages } = await connect('v4.channel.k8s.io', all);
    const closed = new Promise<number>((resolve) => client.once('close', resolve));
    remote.stdout?.write('out');
    remote.stderr?.write('err');
    await remote.finish(exitStatus(0));
    expect(await closed).toBe(1000);
    expect(messages[0]).toEqual(Buffer.from([1]));
    expect(messages[1]?.toString('latin1')).toBe('\x01out');
    expect(messages[2]?.toString('latin1')).toBe('\x02err');
    expect(messages[3]?.[0]).toBe(3);
    expect(JSON.parse(messages[3]?.toString('utf8', 1) ?? '')).toEqual({ metadata: {}, status: 'Success' });
  });

  it('ends standard input by the close message of v5', async () => {
    const { client, remote } = await connect('v5.channel.k8s.io', all);
    client.send(Buffer.from('\x00some ', 'latin1'));
    client.send(Buffer.from('\x00input', 'latin1'));
    client.send(Buffer.from([255, 0]));
    expect(await readAll(remote.stdin)).toBe('some input');
  });

  it('tells of the terminal size, also one that came before anybody listened', async () => {
    const { client, remote } = await connect('v5.channel.k8s.io', { ...all, tty: true });
    client.send(Buffer.from('\x04{"Width":80,"Height":24}', 'latin1'));
    client.send(Buffer.from('\x00x', 'latin1'));
    await new Promise((resolve) => remote.stdin?.once('data', resolve));
    const sizes: unknown[] = [];
    remote.onResize((size) => sizes.push(size));
    expect(sizes).toEqual([{ columns: 80, rows: 24 }]);
    expect(remote.stderr).toBeUndefined();
  });

  it('ends standard input and says so when the client is gone', async () => {
    const { client, remote } = await connect('v5.channel.k8s.io', all);
    client.terminate();
    await new Promise<void>((resolve) => remote.gone.addEventListener('abort', () => resolve()));
    expect(await readAll(remote.stdin)).toBe('');
  });

  it('speaks base64 to browsers', async () => {
    const { client, remote, messages } = await connect('v4.base64.channel.k8s.io', all);
    client.send(`0${Buffer.from('hi').toString('base64')}`);
    const got = await new Promise<Buffer>((resolve) => remote.stdin?.once('data', resolve));
    expect(got.toString()).toBe('hi');
    await new Promise<void>((resolve) => remote.stdout?.write('out', () => resolve()));
    while (messages.length < 2) await new Promise((resolve) => client.once('message', resolve));
    expect(messages[1]?.toString()).toBe(`1${Buffer.from('out').toString('base64')}`);
  });
});
