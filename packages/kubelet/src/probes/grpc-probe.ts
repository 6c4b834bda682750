import { connect } from 'node:http2';
import type { Clock } from '@dure/foundation';
import { withDeadline } from './deadline.ts';
import type { ProbeResult } from './probe-result.ts';

const SERVING = 1;
/** A health answer is a few bytes; more is no health answer. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** Asks `grpc.health.v1.Health/Check`. @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export async function probeGrpc(
  host: string,
  port: number,
  service: string,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const late = `timeout: failed to connect service "${authority}" within ${timeoutMs / 1000}s: context deadline exceeded`;
  return withDeadline(timeoutMs, clock, signal, late, (stop) => check(authority, service, stop));
}

function check(authority: string, service: string, stop: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = connect(`http://${authority}`);
    let answer = Buffer.alloc(0);
    let grpcStatus: string | undefined;
    let httpStatus = 0;
    let settled = false;
    const end = (result: ProbeResult): void => {
      if (settled) return;
      settled = true;
      session.destroy();
      resolve(result);
    };
    const failed = (message: string): void => end({ outcome: 'failure', message });
    session.on('error', (error) => failed(`error: health rpc failed: ${error.message}`));
    stop.addEventListener('abort', () => session.destroy(), { once: true });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/1.36',
    });
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      if (typeof headers['grpc-status'] === 'string') grpcStatus = headers['grpc-status'];
    };
    stream.on('response', (headers) => {
      httpStatus = headers[':status'] ?? 0;
      note(headers);
    });
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length > ANSWER_BYTES_MAX) failed('error: health rpc failed: answer too large');
    });
    stream.on('error', (error) => failed(`error: health rpc failed: ${error.message}`));
    stream.on('end', () => {
      if (httpStatus !== 200) return failed(`error: health rpc failed: HTTP status ${httpStatus}`);
      if (grpcStatus === '12') return failed('error: this server does not implement the grpc health protocol (grpc.health.v1.Health)');
      if (grpcStatus !== undefined && grpcStatus !== '0') return failed(`error: health rpc failed: status code ${grpcStatus}`);
      const serving = servingStatusOf(answer.subarray(5));
      if (serving !== SERVING) return failed(`service unhealthy (responded with "${nameOf(serving)}")`);
      return end({ outcome: 'success', message: 'service healthy' });
    });
    stream.end(frame(encodeRequest(service)));
  });
}

/** gRPC's length-prefixed message, not compressed. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** `message HealthCheckRequest { string service = 1; }` */
function encodeRequest(service: string): Buffer {
  const text = Buffer.from(service, 'utf8');
  if (text.length === 0) return Buffer.alloc(0);
  const length: number[] = [];
  for (let rest = text.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([0x0a, ...length]), text]);
}

/** `message HealthCheckResponse { ServingStatus status = 1; }`; an absent field is UNKNOWN. */
function servingStatusOf(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}

function nameOf(status: number): string {
  return ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'][status] ?? String(status);
}
