import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from '../contract/authenticator.ts';
import type { UserInfo } from '../contract/user.ts';

/**
 * The user that a client certificate names: common name the user, organizations the groups.
 * Certificates that do not chain to the cluster's authority name nobody, whatever they say.
 */
export function userOfCertificate({ chain, authorized }: PeerCertificate): UserInfo | undefined {
  const [leaf] = chain;
  if (!authorized || leaf === undefined) return undefined;
  const certificate = new X509Certificate(leaf);
  // One attribute per line, as `CN=name`; a value may itself hold a newline only in escaped form.
  const attributes = certificate.subject
    .split('\n')
    .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  const name = attributes.find(([type]) => type === 'CN')?.[1];
  if (name === undefined || name === '') return undefined;
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  return {
    name,
    groups: attributes.filter(([type]) => type === 'O').map(([, group]) => group),
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
  };
}
