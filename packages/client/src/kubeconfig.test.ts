import { describe, expect, it } from 'vitest';
import { KubeconfigError, parseKubeconfig, renderKubeconfig } from './kubeconfig.ts';

const noFiles = { source: 'test', readFile: () => Promise.reject(new Error('no such file')) };

describe('kubeconfig', () => {
  it('reads back what it renders', async () => {
    const facts = {
      clusterName: 'dure',
      userName: 'admin',
      server: 'https://10.0.0.1:6443',
      ca: 'CA\n',
      certificate: 'CERT\n',
      key: 'KEY\n',
      namespace: 'web',
    };
    expect(await parseKubeconfig(renderKubeconfig(facts), noFiles)).toEqual({
      servers: ['https://10.0.0.1:6443'],
      ca: 'CA\n',
      certificate: 'CERT\n',
      key: 'KEY\n',
      namespace: 'web',
    });
  });

  it('follows a chosen context, and reads the files it names', async () => {
    const text = `
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: c1, user: u1}}
- {name: two, context: {cluster: c2, user: u2}}
clusters:
- {name: c1, cluster: {server: https://one}}
- {name: c2, cluster: {server: https://two, certificate-authority: pki/ca.crt, tls-server-name: api, insecure-skip-tls-verify: false}}
users:
- {name: u1, user: {token: one}}
- {name: u2, user: {tokenFile: token}}
`;
    const files: Record<string, string> = { 'pki/ca.crt': 'CA', token: 'two\n' };
    const access = await parseKubeconfig(text, { source: 'test', context: 'two', readFile: async (name) => files[name] ?? '' });
    expect(access).toMatchObject({ servers: ['https://two'], ca: 'CA', serverName: 'api' });
    expect(access.insecureSkipTlsVerify).toBeUndefined();
    expect(typeof access.token === 'function' && (await access.token())).toBe('two');
    expect(await parseKubeconfig(text, noFiles)).toMatchObject({ servers: ['https://one'], token: 'one' });
  });

  it.each([
    ['{', 'no YAML'],
    ['- a', 'no mapping'],
    ['kind: Config', 'no current context'],
    ['current-context: x', 'no context "x"'],
    ['{current-context: x, contexts: [{name: x, context: {cluster: c}}]}', 'no cluster "c"'],
    ['{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {}}]}', 'names no server'],
    [
      '{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: https://s}}], users: [{name: u, user: {exec: {}}}]}',
      'from a program',
    ],
    [
      '{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {server: https://s, certificate-authority: ca}}]}',
      'read certificate-authority ca: no such file',
    ],
  ])('says what is wrong with %s', async (text, why) => {
    const error: unknown = await parseKubeconfig(text, noFiles).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(KubeconfigError);
    expect(String(error)).toContain(why);
  });
});
