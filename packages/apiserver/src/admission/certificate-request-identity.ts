import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { asObject } from './pod-shape.ts';

/** Writes into a CertificateSigningRequest who made it, whatever the request says of itself: approvers decide by it. */
export const certificateRequestIdentity: AdmissionPlugin = {
  name: 'CertificateRequestIdentity',
  async mutate({ operation, object, user, ...request }) {
    if (
      operation !== 'CREATE' ||
      object === undefined ||
      !writes({ operation, object, user, ...request }, 'certificatesigningrequests', 'certificates.k8s.io')
    )
      return;
    const { username: _username, uid: _uid, groups: _groups, extra: _extra, ...spec } = asObject(object.spec) ?? {};
    object.spec = {
      ...spec,
      username: user.name,
      groups: [...user.groups],
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      ...(user.extra === undefined
        ? {}
        : { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }),
    };
  },
};
