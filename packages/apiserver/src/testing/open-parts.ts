import { X509Certificate } from 'node:crypto';
import type { Admission } from '../contract/admission.ts';
import type { Authenticator } from '../contract/authenticator.ts';
import type { Authorizer } from '../contract/authorizer.ts';
import { ANONYMOUS_USER } from '../contract/user.ts';

/** For tests: whoever shows a certificate of the test's authority is who it names; everybody else is anonymous. */
export const certificateNames: Authenticator = {
  async authenticate({ certificate }) {
    const [leaf] = certificate?.chain ?? [];
    if (leaf === undefined || certificate?.authorized !== true) return { user: ANONYMOUS_USER };
    const lines = new X509Certificate(leaf).subject.split('\n');
    const values = (field: string): string[] =>
      lines.filter((line) => line.startsWith(`${field}=`)).map((line) => line.slice(field.length + 1));
    return { user: { name: values('CN')[0] ?? '', groups: [...values('O'), 'system:authenticated'] } };
  },
  async reviewToken(token) {
    return token === 'good'
      ? { authenticated: { user: { name: 'token-user', groups: ['system:authenticated'] } } }
      : { error: 'unknown token' };
  },
};

/** For tests: allows everything to everybody but `system:anonymous`. */
export const allowKnown: Authorizer = {
  async authorize({ user }) {
    return user.name === ANONYMOUS_USER.name ? { decision: 'no-opinion' } : { decision: 'allow' };
  },
  async rulesFor() {
    return { resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], nonResourceRules: [], incomplete: false };
  },
};

/** For tests: lets every write pass as it is. */
export const admitAll: Admission = { async mutate() {}, async validate() {} };
