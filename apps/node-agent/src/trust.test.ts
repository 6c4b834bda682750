import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { seededRandom, systemClock } from '@dure/foundation';
import { type Authority, certificatePin, createAuthority, issueCertificate } from '@dure/pki';
import { afterEach, describe, expect, it } from 'vitest';
import { discoverAuthority, UntrustedServerError } from './trust.ts';

const context = { clock: systemClock, random: seededRandom(2) };
let server: Server | undefined;
afterEach(() => server?.close());

/** @param published What `cluster-info` shows. @param inChain Sends the authority along in the handshake. */
async function serve(authority: Authority, published: string | undefined, inChain: boolean): Promise<string> {
  const { certificatePem, privateKeyPem } = await issueCertificate(
    authority,
    { commonName: 'kube-apiserver', organizations: [], ipAddresses: ['127.0.0.1'], usages: ['server auth'] },
    context,
  );
  const cert = inChain ? `${certificatePem}\n${authority.certificatePem}` : certificatePem;
  server = createServer({ key: privateKeyPem, cert }, (request, response) => {
    if (published === undefined || request.url !== '/api/v1/namespaces/kube-public/configmaps/cluster-info') {
      response.writeHead(404).end('{}');
      return;
    }
    const encoded = Buffer.from(published).toString('base64');
    response.end(JSON.stringify({ data: { kubeconfig: `clusters:\n- cluster:\n    certificate-authority-data: ${encoded}\n` } }));
  });
  const listening = server;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return `https://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

describe('the authority of a cluster', () => {
  it('is believed from the handshake when its key has the pin', async () => {
    const authority = await createAuthority({ commonName: 'ca' }, context);
    const found = await discoverAuthority(await serve(authority, undefined, true), certificatePin(authority.certificatePem));
    expect(certificatePin(found)).toBe(certificatePin(authority.certificatePem));
  });

  it('is believed from what the cluster publishes when its key has the pin', async () => {
    const authority = await createAuthority({ commonName: 'ca' }, context);
    const found = await discoverAuthority(
      await serve(authority, authority.certificatePem, false),
      certificatePin(authority.certificatePem),
    );
    expect(certificatePin(found)).toBe(certificatePin(authority.certificatePem));
  });

  it('is not believed when somebody else answers', async () => {
    const authority = await createAuthority({ commonName: 'ca' }, context);
    const impostor = await createAuthority({ commonName: 'ca' }, context);
    const server = await serve(impostor, impostor.certificatePem, true);
    await expect(discoverAuthority(server, certificatePin(authority.certificatePem))).rejects.toThrow(UntrustedServerError);
  });
});
