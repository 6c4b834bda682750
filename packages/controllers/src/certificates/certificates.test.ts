import { type CertificateSigningRequest, certificateSigningRequests, nodes, secrets } from '@dure/api';
import { seededRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { createAuthority, createRequest, parseCertificate, signRequest } from '@dure/pki';
import { describe, expect, it } from 'vitest';
import { tokenCleaner } from '../bootstrap-token/token-cleaner.ts';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { csrApprover } from './csr-approver.ts';
import { csrCleaner } from './csr-cleaner.ts';
import { csrSigner } from './csr-signer.ts';

const CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
const SERVING = 'kubernetes.io/kubelet-serving';
const clientUsages = ['digital signature', 'client auth'];
const servingUsages = ['digital signature', 'server auth'];
const node = { commonName: 'system:node:n1', organizations: ['system:nodes'] };
const asNode = { username: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
const asBootstrapper = { username: 'system:bootstrap:abcdef', groups: ['system:bootstrappers', 'system:authenticated'] };

async function bench(): Promise<ControllerBench> {
  const context = { clock: new FakeClock(), random: seededRandom(5) };
  const authority = await createAuthority({ commonName: 'test' }, context);
  const made = controllerBench({
    approver: csrApprover,
    signer: csrSigner({ signCertificateRequest: (pem, options) => signRequest(authority, pem, options, context) }),
    cleaner: csrCleaner,
    tokens: tokenCleaner,
  });
  made.client.serve(certificateSigningRequests, nodes, secrets);
  made.client.put(nodes, {
    metadata: { name: 'n1' },
    spec: {},
    status: {
      addresses: [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'Hostname', address: 'n1.home' },
      ],
    },
  });
  await made.start();
  return made;
}

async function ask(
  run: ControllerBench,
  request: Parameters<typeof createRequest>[0],
  spec: Partial<CertificateSigningRequest['spec']>,
): Promise<CertificateSigningRequest> {
  const { requestPem } = await createRequest(request);
  const usages = (spec.signerName === SERVING ? servingUsages : clientUsages) as unknown as NonNullable<
    CertificateSigningRequest['spec']['usages']
  >;
  run.client.put(certificateSigningRequests, {
    metadata: { name: 'csr' },
    spec: { signerName: CLIENT, usages, request: Buffer.from(requestPem).toString('base64'), ...spec },
  });
  // Signing takes real turns of the event loop.
  for (let turn = 0; turn < 200; turn += 1) {
    await run.settle();
    const stored = run.client.peek<CertificateSigningRequest>(certificateSigningRequests, 'csr');
    if (stored?.status?.certificate !== undefined || stored?.status?.conditions?.some(({ type }) => type === 'Failed')) break;
    if (turn > 20 && stored?.status?.conditions === undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const stored = run.client.peek<CertificateSigningRequest>(certificateSigningRequests, 'csr');
  if (stored === undefined) throw new Error('gone');
  return stored;
}

/** What becomes of a request that somebody approved. */
async function signApproved(
  run: ControllerBench,
  signerName: string,
  request: Parameters<typeof createRequest>[0],
  usages: readonly string[],
): Promise<CertificateSigningRequest['status'] | undefined> {
  const { requestPem } = await createRequest(request);
  run.client.put(certificateSigningRequests, {
    metadata: { name: 'csr' },
    spec: { signerName, usages: usages as never, request: Buffer.from(requestPem).toString('base64') },
    status: { conditions: [{ type: 'Approved', status: 'True' }] },
  });
  const status = () => run.client.peek<CertificateSigningRequest>(certificateSigningRequests, 'csr')?.status;
  // Signing takes real turns of the event loop.
  for (let turn = 0; turn < 500 && status()?.certificate === undefined && status()?.conditions?.length === 1; turn += 1) {
    await run.settle();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return status();
}

describe('certificates for nodes', () => {
  it.each([
    ['a bootstrapping machine gets a client certificate', asBootstrapper],
    ['a node renews its own', asNode],
  ])('%s', async (_title, requestor) => {
    await using run = await bench();
    const { status } = await ask(run, node, { ...requestor, expirationSeconds: 3600 });
    expect(status.conditions).toMatchObject([{ type: 'Approved', status: 'True', reason: 'AutoApproved' }]);
    const info = parseCertificate(Buffer.from(status.certificate ?? '', 'base64').toString());
    expect(info).toMatchObject(node);
    expect(info.notAfterMs - run.clock.now()).toBeLessThanOrEqual(3_600_000);
  });

  it('a node gets a serving certificate in its own name', async () => {
    await using run = await bench();
    const { status } = await ask(run, { ...node, dnsNames: ['n1'] }, { ...asNode, signerName: SERVING });
    expect(status.certificate).toBeDefined();
  });

  it.each([
    ['somebody else asking in the name of a node', node, { username: 'eve', groups: ['system:authenticated'] }],
    ['a node asking for another', { ...node, commonName: 'system:node:n2' }, asNode],
    ['another group', { ...node, organizations: ['system:nodes', 'system:masters'] }, asNode],
    ['names in a client certificate', { ...node, dnsNames: ['n1'] }, asNode],
    ['other usages', node, { ...asNode, usages: ['digital signature', 'cert sign'] as never }],
    [
      'an address that the node claims, such as the API server has',
      { ...node, dnsNames: ['n1'], ipAddresses: ['10.43.0.1'] },
      { ...asNode, signerName: SERVING },
    ],
    ['the name of another node', { ...node, dnsNames: ['n1', 'n2'] }, { ...asNode, signerName: SERVING }],
    ['the name of the API server', { ...node, dnsNames: ['kubernetes.default.svc'] }, { ...asNode, signerName: SERVING }],
    ['a bootstrapper asking to serve', { ...node, dnsNames: ['n1'] }, { ...asBootstrapper, signerName: SERVING }],
    ['a signer of others', node, { ...asNode, signerName: 'example.com/mine' }],
  ])('are not approved by themselves: %s', async (_title, request, spec) => {
    await using run = await bench();
    const { status } = await ask(run, request, spec);
    expect(status).toBeUndefined();
  });

  const API_CLIENT = 'kubernetes.io/kube-apiserver-client';
  it.each<[string, string, Parameters<typeof createRequest>[0], readonly string[], string]>([
    [
      'masters',
      API_CLIENT,
      { commonName: 'eve', organizations: ['system:masters'] },
      clientUsages,
      'use of the system:masters group is not allowed',
    ],
    ['serving', API_CLIENT, { commonName: 'eve' }, servingUsages, 'invalid usage for client certificate: server auth'],
    ['nothing', API_CLIENT, { commonName: 'eve' }, ['digital signature'], 'missing required usage for client certificate: client auth'],
    [
      'a user',
      CLIENT,
      { commonName: 'eve', organizations: ['system:nodes'] },
      clientUsages,
      'subject common name does not begin with system:node:',
    ],
    ['a group', CLIENT, { ...node, organizations: ['a'] }, clientUsages, 'subject organization is not system:nodes'],
    ['a name', CLIENT, { ...node, dnsNames: ['n1'] }, clientUsages, 'DNS subjectAltNames are not allowed'],
    ['an address', CLIENT, { ...node, ipAddresses: ['10.0.0.1'] }, clientUsages, 'IP subjectAltNames are not allowed'],
    ['more', CLIENT, node, [...clientUsages, 'server auth'], 'usages did not match [client auth digital signature key encipherment]'],
    ['nowhere', SERVING, node, servingUsages, 'DNS or IP subjectAltName is required'],
    [
      'the other role',
      SERVING,
      { ...node, dnsNames: ['n1'] },
      clientUsages,
      'usages did not match [digital signature key encipherment server auth]',
    ],
  ])('an approved request for %s by %s fails, and says why', async (_what, signerName, request, usages, message) => {
    await using run = await bench();
    const status = await signApproved(run, signerName, request, usages);
    expect(status?.certificate).toBeUndefined();
    expect(status?.conditions?.at(-1)).toMatchObject({ type: 'Failed', reason: 'SignerValidationFailure', message });
  });

  it.each<[string, Parameters<typeof createRequest>[0], readonly string[]]>([
    [API_CLIENT, { commonName: 'jane', organizations: ['dev'] }, ['client auth']],
    [SERVING, { ...node, ipAddresses: ['10.0.0.1'] }, [...servingUsages, 'key encipherment']],
    ['kubernetes.io/legacy-unknown', { commonName: 'any', dnsNames: ['any.example'] }, ['code signing']],
  ])('an approved request to %s that fits is signed', async (signerName, request, usages) => {
    await using run = await bench();
    expect((await signApproved(run, signerName, request, usages))?.certificate).toBeDefined();
  });

  it('requests go an hour after they were decided, a day if nobody did', async () => {
    await using run = await bench();
    const { requestPem } = await createRequest(node);
    const spec = { signerName: 'example.com/mine', request: Buffer.from(requestPem).toString('base64') };
    run.client.put(certificateSigningRequests, { metadata: { name: 'waiting' }, spec });
    run.client.put(certificateSigningRequests, {
      metadata: { name: 'decided' },
      spec,
      status: { conditions: [{ type: 'Denied', status: 'True', lastUpdateTime: '2026-01-01T00:00:00Z' }] },
    });
    await run.clock.advance(3_700_000);
    expect(run.client.peekAll(certificateSigningRequests).map(({ metadata }) => metadata.name)).toEqual(['waiting']);
    await run.clock.advance(24 * 3_600_000);
    expect(run.client.peekAll(certificateSigningRequests)).toEqual([]);
  });
});

describe('bootstrap tokens', () => {
  it('go when they expire, and stay where they never do', async () => {
    await using run = await bench();
    const type = 'bootstrap.kubernetes.io/token';
    const expiration = Buffer.from('2026-01-01T01:00:00Z').toString('base64');
    const metadata = (name: string) => ({ namespace: 'kube-system', name });
    run.client.put(secrets, { metadata: metadata('soon'), type, data: { expiration } });
    run.client.put(secrets, { metadata: metadata('never'), type, data: {} });
    run.client.put(secrets, { metadata: metadata('other'), type: 'Opaque', data: { expiration } });
    run.client.put(secrets, { metadata: metadata('broken'), type, data: { expiration: Buffer.from('soon').toString('base64') } });
    await run.clock.advance(3_500_000);
    expect(
      run.client
        .peekAll(secrets)
        .map(({ metadata: { name } }) => name)
        .sort(),
    ).toEqual(['never', 'other', 'soon']);
    await run.clock.advance(200_000);
    expect(
      run.client
        .peekAll(secrets)
        .map(({ metadata: { name } }) => name)
        .sort(),
    ).toEqual(['never', 'other']);
  });
});
