import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from '@dure/foundation';
import { dialFailure, withDeadline } from './deadline.ts';
import type { ProbeResult } from './probe-result.ts';

export interface HttpProbeTarget {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

const REDIRECTS_MAX = 10;
const BODY_BYTES_MAX = 10 * 1024;

/** Succeeds with a status from 200 to 399. Redirects are followed on the same host only; certificates are not verified. */
export async function probeHttp(target: HttpProbeTarget, timeoutMs: number, clock: Clock, signal: AbortSignal): Promise<ProbeResult> {
  const { scheme, host, port, path } = target;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const url = new URL(`${scheme}://${authority}${path.startsWith('/') ? path : `/${path}`}`);
  const late = `Get "${url.href}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
  return withDeadline(timeoutMs, clock, signal, late, (stop) => follow(url, url, target, stop, 0));
}

async function follow(url: URL, first: URL, target: HttpProbeTarget, stop: AbortSignal, redirects: number): Promise<ProbeResult> {
  let answer: IncomingMessage;
  try {
    answer = await get(url, target, stop);
  } catch (error) {
    return { outcome: 'failure', message: `Get "${url.href}": dial tcp ${url.host}: ${dialFailure(error)}` };
  }
  const status = answer.statusCode ?? 0;
  const location = answer.headers.location;
  if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
    answer.destroy();
    const next = new URL(location, url);
    // Elsewhere is not this container: that it redirects at all says that it works.
    if (next.hostname !== first.hostname) return { outcome: 'success', message: `Probe terminated redirects, Response body: ` };
    if (redirects >= REDIRECTS_MAX) return { outcome: 'failure', message: `Get "${url.href}": stopped after ${REDIRECTS_MAX} redirects` };
    return follow(next, first, target, stop, redirects + 1);
  }
  const body = await readBody(answer).catch(() => '');
  if (status >= 200 && status < 400) return { outcome: 'success', message: body };
  return { outcome: 'failure', message: `HTTP probe failed with statuscode: ${status}` };
}

function get(url: URL, { headers }: HttpProbeTarget, stop: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const given = new Map(headers.map(({ name, value }) => [name.toLowerCase(), value]));
    const all: Record<string, string> = { 'user-agent': 'kube-probe/1.36', accept: '*/*', connection: 'close' };
    for (const [name, value] of given) {
      // An empty value takes a default header away.
      if (value === '' && (name === 'accept' || name === 'user-agent')) delete all[name];
      else all[name] = value;
    }
    const options = { method: 'GET', headers: all, agent: false, signal: stop } as const;
    const request = url.protocol === 'https:' ? httpsRequest(url, { ...options, rejectUnauthorized: false }) : httpRequest(url, options);
    request.on('response', resolve);
    request.on('error', reject);
    request.end();
  });
}

async function readBody(answer: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    body += chunk.toString('utf8');
    if (body.length >= BODY_BYTES_MAX) break;
  }
  return body.slice(0, BODY_BYTES_MAX);
}
