import { certificateSigningRequests } from '@dure/api';
import { FakeClient } from '@dure/client/testing';
import { FakeClock } from '@dure/foundation/testing';
import { parseRequest } from '@dure/pki';
import { describe, expect, it } from 'vitest';
import { CertificateDeniedError, requestCertificate } from './certificate-request.ts';
import { clientWish } from './membership.ts';

async function asked(client: FakeClient) {
  for (let turn = 0; turn < 200; turn += 1) {
    const [found] = client.peekAll(certificateSigningRequests);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('nothing was asked for');
}

describe('a certificate request', () => {
  it('names the node and its group, and waits for the certificate', async () => {
    const clock = new FakeClock();
    const client = new FakeClient({ clock });
    const answer = requestCertificate(client, clock, clientWish('pi-1'), new AbortController().signal);
    const request = await asked(client);
    expect(request.spec).toMatchObject({
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
    });
    const names = await parseRequest(Buffer.from(request.spec.request, 'base64').toString('utf8'));
    expect(names).toMatchObject({ commonName: 'system:node:pi-1', organizations: ['system:nodes'] });
    client.put(certificateSigningRequests, { ...request, status: { certificate: Buffer.from('PEM').toString('base64') } });
    expect(await answer).toMatchObject({ certificate: 'PEM', key: expect.stringContaining('PRIVATE KEY') });
  });

  it('says so when it is denied', async () => {
    const clock = new FakeClock();
    const client = new FakeClient({ clock });
    const answer = requestCertificate(client, clock, clientWish('pi-1'), new AbortController().signal);
    const refused = expect(answer).rejects.toThrow(CertificateDeniedError);
    const request = await asked(client);
    client.put(certificateSigningRequests, {
      ...request,
      status: { conditions: [{ type: 'Denied', status: 'True', message: 'who are you' }] },
    });
    await refused;
    await expect(answer).rejects.toThrow('who are you');
  });

  it('is given up after a quarter of an hour', async () => {
    const clock = new FakeClock();
    const client = new FakeClient({ clock });
    const answer = requestCertificate(client, clock, clientWish('pi-1'), new AbortController().signal);
    const refused = expect(answer).rejects.toThrow('nobody approved it within 15 min');
    await asked(client);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await clock.advance(15 * 60_000);
    await refused;
  });
});
