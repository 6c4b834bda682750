import { fromJsonText, toJsonText } from '@dure/api';
import { Agent, request } from 'undici';
import type { TestServer } from './test-server.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The decoded body, of whatever shape the test expects; `undefined` where it is no JSON. */
  readonly json: ReturnType<typeof JSON.parse>;
}

export interface SendOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without the administrator's certificate. */
  readonly anonymous?: boolean;
}

/** A plain client over real HTTPS. */
export interface TestClient extends AsyncDisposable {
  send(method: string, path: string, options?: SendOptions): Promise<Answer>;
  /** Decoded events of a watch, until the server ends it. */
  watch(
    path: string,
    signal: AbortSignal,
    headers?: Readonly<Record<string, string>>,
  ): AsyncIterable<{ readonly type: string; readonly object: Record<string, unknown> & { metadata: Record<string, unknown> } }>;
}

export function testClient({ url, caPem, certPem, keyPem }: TestServer, allowH2 = false): TestClient {
  const admin = new Agent({ allowH2, connect: { ca: caPem, cert: certPem, key: keyPem } });
  const nobody = new Agent({ allowH2, connect: { ca: caPem } });
  return {
    async send(method, path, { body, contentType = 'application/json', headers = {}, anonymous = false } = {}) {
      const encoded = body === undefined ? undefined : typeof body === 'string' || body instanceof Uint8Array ? body : toJsonText(body);
      const answer = await request(`${url}${path}`, {
        method: method as 'GET',
        dispatcher: anonymous ? nobody : admin,
        headers: { ...(encoded === undefined ? {} : { 'content-type': contentType }), ...headers },
        ...(encoded === undefined ? {} : { body: encoded as string }),
      });
      const text = await answer.body.text();
      let json: unknown;
      try {
        json = fromJsonText(text);
      } catch {
        json = undefined;
      }
      return { status: answer.statusCode, headers: answer.headers, text, json };
    },
    async *watch(path, signal, headers = {}) {
      const answer = await request(`${url}${path}`, { dispatcher: admin, signal, headers });
      if (answer.statusCode !== 200) throw new Error(`watch ${path}: ${answer.statusCode} ${await answer.body.text()}`);
      let held = '';
      try {
        for await (const chunk of answer.body) {
          held += String(chunk);
          const lines = held.split('\n');
          held = lines.pop() ?? '';
          for (const line of lines) if (line !== '') yield fromJsonText(line) as ReturnType<typeof JSON.parse>;
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([admin.destroy(), nobody.destroy()]);
    },
  };
}
