import { systemClock } from '@dure/foundation';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { probeGrpc } from './grpc-probe.ts';

/** `grpc.health.v1.Health` by another implementation of gRPC; messages stay bytes, so that ours are judged as they are on the wire. */
const bytes = (message: Buffer): Buffer => message;
const health = {
  Check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const;
const asked: string[] = [];
let server: Server;
let port: number;

function check({ request }: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
  const service = request.subarray(2).toString('utf8');
  asked.push(service);
  if (service === 'unknown') answer({ code: status.NOT_FOUND, details: 'unknown service' });
  else if (service !== 'hangs') answer(null, Buffer.from(service === 'draining' ? [0x08, 2] : [0x08, 1]));
}

beforeEach(async () => {
  asked.length = 0;
  server = new Server();
  server.addService(health, { Check: check });
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
});
afterEach(() => server.forceShutdown());

const probe = (service: string, timeoutMs = 5_000, at = port) =>
  probeGrpc('127.0.0.1', at, service, timeoutMs, systemClock, new AbortController().signal);

describe('probeGrpc', () => {
  it('finds a server healthy, and names the service it asks about', async () => {
    expect(await probe('')).toEqual({ outcome: 'success', message: 'service healthy' });
    expect(await probe('readiness')).toEqual({ outcome: 'success', message: 'service healthy' });
    expect(asked).toEqual(['', 'readiness']);
  });

  it('fails for a service that is draining, unknown, or does not answer in time', async () => {
    expect(await probe('draining')).toEqual({ outcome: 'failure', message: 'service unhealthy (responded with "NOT_SERVING")' });
    expect(await probe('unknown')).toMatchObject({ outcome: 'failure', message: 'error: health rpc failed: status code 5' });
    expect(await probe('hangs', 200)).toMatchObject({ outcome: 'failure', message: expect.stringContaining('within 0.2s') });
  });

  it('fails where nobody listens', async () => {
    const free = port;
    server.forceShutdown();
    expect(await probe('', 2_000, free)).toMatchObject({ outcome: 'failure', message: expect.stringContaining('ECONNREFUSED') });
  });
});
