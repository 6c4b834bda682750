import { type JsonObject, listAt, semanticEqual, stringAt } from '@dure/api';
import { messageOf } from '@dure/foundation';
import { parseRequest } from '@dure/pki';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { Authorizer } from '../contract/authorizer.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { refusal } from './refusal.ts';

const GROUP = 'certificates.k8s.io';
const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';
const SUPERUSERS = 'system:masters';

/** Only who may `approve` for a signer approves or denies what it is asked to sign. @see https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization */
export function certificateApproval(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    async validate(request, signal) {
      if (request.operation !== 'UPDATE' || !isRequest(request, 'approval')) return;
      const signer = signerOf(request);
      if (await maySigner(authorizer, request, 'approve', signer, signal)) return;
      throw refusal(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
    },
  };
}

/** Only who may `sign` for a signer writes certificates in its name. */
export function certificateSigning(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    async validate(request, signal) {
      const { operation, object, oldObject } = request;
      if (operation !== 'UPDATE' || !isRequest(request, 'status')) return;
      const old = oldObject as unknown as JsonObject;
      const isSame =
        stringAt(object, 'status', 'certificate') === stringAt(old, 'status', 'certificate') &&
        semanticEqual(listAt(object, 'status', 'conditions'), listAt(old, 'status', 'conditions'));
      const signer = signerOf(request);
      if (isSame || (await maySigner(authorizer, request, 'sign', signer, signal))) return;
      throw refusal(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
    },
  };
}

/** Nobody becomes an administrator beyond all rules by a certificate that is asked for. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  async validate(request) {
    if (request.operation !== 'CREATE' || !isRequest(request, '') || stringAt(request.object, 'spec', 'signerName') !== CLIENT_SIGNER)
      return;
    const organizations = await organizationsIn(request);
    if (organizations.includes(SUPERUSERS))
      throw refusal(request, `use of ${CLIENT_SIGNER} signer with ${SUPERUSERS} group is not allowed`);
  },
};

async function organizationsIn(request: AdmissionRequest): Promise<readonly string[]> {
  try {
    const pem = Buffer.from(stringAt(request.object, 'spec', 'request'), 'base64').toString('latin1');
    return (await parseRequest(pem)).organizations;
  } catch (error) {
    throw refusal(request, `failed to parse CSR: ${messageOf(error)}`);
  }
}

function isRequest({ group, resource, subresource }: AdmissionRequest, wanted: string): boolean {
  return group === GROUP && resource === 'certificatesigningrequests' && subresource === wanted;
}

/** As it stands, whatever the write says. */
function signerOf({ oldObject }: AdmissionRequest): string {
  return stringAt(oldObject as unknown as JsonObject | undefined, 'spec', 'signerName');
}

/** For that signer, or for all of its domain. */
async function maySigner(
  authorizer: Authorizer,
  { user }: AdmissionRequest,
  verb: string,
  signer: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (const name of [signer, `${signer.split('/')[0]}/*`]) {
    const question = {
      user,
      verb,
      kind: 'resource',
      group: GROUP,
      version: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
    } as const;
    const { decision } = await authorizer.authorize(question, signal);
    if (decision === 'allow') return true;
  }
  return false;
}
