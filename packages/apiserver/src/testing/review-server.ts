import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import type { WebhookTarget } from '../connect/webhook-client.ts';

/** What was sent to a {@link ReviewServer}: any JSON. */
type Sent = ReturnType<typeof JSON.parse>;

/** A webhook server over real HTTPS on the loopback interface that answers each body with what the test says. */
export interface ReviewServer extends AsyncDisposable {
  readonly target: WebhookTarget;
  readonly caPem: string;
  /** Bodies that came, in order. */
  readonly sent: Sent[];
  /** Makes the answer; a number is a status without a body. */
  answer: (body: Sent) => unknown;
}

export async function startReviewServer(): Promise<ReviewServer> {
  const context = { clock: systemClock, random: systemRandom };
  const authority = await createAuthority({ commonName: 'reviews-ca' }, context);
  const serving = await issueCertificate(
    authority,
    { commonName: 'reviews', organizations: [], usages: ['server auth'], ipAddresses: ['127.0.0.1'] },
    context,
  );
  const server = https.createServer({ cert: serving.certificatePem, key: serving.privateKeyPem }, async (req, res) => {
    let text = '';
    for await (const chunk of req) text += String(chunk);
    const body: Sent = JSON.parse(text);
    reviews.sent.push(body);
    const answer = reviews.answer(body);
    res.writeHead(typeof answer === 'number' ? answer : 200, { 'content-type': 'application/json' });
    res.end(typeof answer === 'number' ? '' : JSON.stringify(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reviews: ReviewServer = {
    target: {
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/review`,
      caBundle: Buffer.from(authority.certificatePem).toString('base64'),
    },
    caPem: authority.certificatePem,
    sent: [],
    answer: () => 500,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return reviews;
}
