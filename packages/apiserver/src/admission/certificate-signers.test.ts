import type { JsonObject } from '@dure/api';
import { createRequest as createPem } from '@dure/pki';
import { describe, expect, it } from 'vitest';
import { AuthorizerChain } from '../authorization/authorizer-chain.ts';
import { RbacAuthorizer } from '../authorization/rbac-authorizer.ts';
import { admit, createRequest, readerOf, updateRequest } from '../testing/admission-bench.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './certificate-signers.ts';

const rbac = 'rbac.authorization.k8s.io';
const signers = (verb: string, name: string) => ({
  verbs: [verb],
  apiGroups: ['certificates.k8s.io'],
  resources: ['signers'],
  resourceNames: [name],
});
const bound = (name: string) => ({ metadata: { name }, subjects: [{ kind: 'User', name }], roleRef: { kind: 'ClusterRole', name } });
const authorizer = new AuthorizerChain([
  new RbacAuthorizer(
    readerOf({
      [`${rbac}/clusterroles`]: [
        { metadata: { name: 'one' }, rules: [signers('approve', 'example.com/web'), signers('sign', 'example.com/web')] },
        { metadata: { name: 'domain' }, rules: [signers('approve', 'example.com/*')] },
      ],
      [`${rbac}/clusterrolebindings`]: [bound('one'), bound('domain')],
    }),
  ),
]);
const requestOf = (signerName: string, status: JsonObject = {}): JsonObject => ({ metadata: { name: 'r' }, spec: { signerName }, status });
const by = (name: string, subresource: string) => ({
  group: 'certificates.k8s.io',
  namespace: '',
  name: 'r',
  subresource,
  user: { name, groups: [] },
});

describe('approving', () => {
  const approve = (user: string, from: JsonObject, to = from) =>
    admit(certificateApproval(authorizer), updateRequest('certificatesigningrequests', from, to, by(user, 'approval')));

  it('takes the right to approve for the signer, or for its domain', async () => {
    await expect(approve('one', requestOf('example.com/web'))).resolves.toBeDefined();
    await expect(approve('domain', requestOf('example.com/other'))).resolves.toBeDefined();
    await expect(approve('one', requestOf('example.com/other'))).rejects.toThrow(
      'certificatesigningrequests.certificates.k8s.io "r" is forbidden: user not permitted to approve requests with signerName "example.com/other"',
    );
  });

  it('is judged by the signer that stands there', async () => {
    await expect(approve('one', requestOf('example.com/other'), requestOf('example.com/web'))).rejects.toThrow('not permitted to approve');
  });
});

describe('signing', () => {
  const sign = (user: string, from: JsonObject, to: JsonObject) =>
    admit(certificateSigning(authorizer), updateRequest('certificatesigningrequests', from, to, by(user, 'status')));

  it('takes the right to sign for the signer', async () => {
    const signed = requestOf('example.com/web', { certificate: 'x' });
    await expect(sign('one', requestOf('example.com/web'), signed)).resolves.toBeDefined();
    await expect(sign('domain', requestOf('example.com/web'), signed)).rejects.toThrow(
      'user not permitted to sign requests with signerName "example.com/web"',
    );
    await expect(sign('domain', signed, signed)).resolves.toBeDefined();
  });
});

describe('what is asked for', () => {
  const ask = async (signerName: string, organizations: string[]) => {
    const { requestPem } = await createPem({ commonName: 'me', organizations });
    const request = { metadata: { name: 'r' }, spec: { signerName, request: Buffer.from(requestPem).toString('base64') } };
    return admit(certificateSubjectRestriction, createRequest('certificatesigningrequests', request, by('me', '')));
  };

  it('is not membership of system:masters', async () => {
    await expect(ask('kubernetes.io/kube-apiserver-client', ['system:masters'])).rejects.toThrow(
      'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    );
    await expect(ask('kubernetes.io/kube-apiserver-client', ['developers'])).resolves.toBeDefined();
    await expect(ask('example.com/web', ['system:masters'])).resolves.toBeDefined();
  });
});
