import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { fromJsonText, toJsonText } from '@dure/api';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';

type Json = ReturnType<typeof JSON.parse>;

/** A webhook over HTTPS with a certificate of its own authority. What it answers is decided by path. */
export interface TestWebhook extends AsyncDisposable {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Base64 of the authority's PEM. */
  readonly caBundle: string;
  /** The requests of AdmissionReviews that came, by path in order of arrival. */
  readonly seen: { readonly path: string; readonly review: Json }[];
  /** What the path gives as `response`, besides the uid; `undefined` answers nothing at all. */
  on(path: string, respond: (request: Json, review: Json) => Json | undefined | Promise<Json | undefined>): void;
  /** A client configuration for `path`. */
  at(path: string): Json;
}

/** Starts one on a free port of the loopback interface. It also holds a certificate for `hook.hooks.svc`. */
export async function startTestWebhook(): Promise<TestWebhook> {
  const context = { clock: systemClock, random: systemRandom };
  const authority = await createAuthority({ commonName: 'webhook-ca' }, context);
  const serving = await issueCertificate(
    authority,
    { commonName: 'hook', organizations: [], usages: ['server auth'], dnsNames: ['hook.hooks.svc'], ipAddresses: ['127.0.0.1'] },
    context,
  );
  const seen: { path: string; review: Json }[] = [];
  const answers = new Map<string, (request: Json, review: Json) => Json | undefined | Promise<Json | undefined>>();
  const server = https.createServer({ cert: serving.certificatePem, key: serving.privateKeyPem }, async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const review: Json = fromJsonText(Buffer.concat(chunks).toString('utf8'));
    const path = new URL(req.url ?? '/', 'https://hook').pathname;
    seen.push({ path, review });
    const response = await answers.get(path)?.(review.request, review);
    if (response === undefined) return;
    const { kind, apiVersion } = review;
    res
      .setHeader('content-type', 'application/json')
      .end(toJsonText({ kind, apiVersion, response: { uid: review.request?.uid, ...response } }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  const caBundle = Buffer.from(authority.certificatePem).toString('base64');
  return {
    url,
    port,
    caBundle,
    seen,
    on: (path, respond) => void answers.set(path, respond),
    at: (path) => ({ url: `${url}${path}`, caBundle }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A JSON patch as a response carries it. */
export function patchResponse(operations: readonly unknown[]): Json {
  return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(toJsonText(operations)).toString('base64') };
}
