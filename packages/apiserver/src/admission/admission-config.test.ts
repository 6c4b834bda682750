import { describe, expect, it } from 'vitest';
import { parseAdmissionConfig } from './admission-config.ts';

const POD_SECURITY = `
apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
defaults: { enforce: baseline, enforce-version: v1.30, warn: restricted }
exemptions: { namespaces: [kube-system], usernames: [robot], runtimeClasses: [vm] }
`;
const indented = POD_SECURITY.trim().replaceAll('\n', '\n    ');
const fileOf = (plugins: string) => `apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n${plugins}`;
const nowhere = async (path: string): Promise<string> => {
  throw new Error(`nobody should read ${path}`);
};
const EXPECTED = {
  podSecurity: {
    defaults: {
      enforce: { level: 'baseline', minor: 30 },
      audit: { level: 'privileged', minor: 'latest' },
      warn: { level: 'restricted', minor: 'latest' },
    },
    exemptions: { namespaces: ['kube-system'], usernames: ['robot'], runtimeClasses: ['vm'] },
  },
};

describe('an AdmissionConfiguration', () => {
  it('holds the plugin’s configuration, or names its file', async () => {
    expect(await parseAdmissionConfig(fileOf(`- name: PodSecurity\n  configuration:\n    ${indented}`), nowhere)).toEqual(EXPECTED);
    const read = async (path: string) => (path === 'pod-security.yaml' ? POD_SECURITY : nowhere(path));
    expect(await parseAdmissionConfig(fileOf('- { name: PodSecurity, path: pod-security.yaml }'), read)).toEqual(EXPECTED);
  });

  it.each<[string, string, string]>([
    ['another plugin', '- name: EventRateLimit', 'plugins[0].name: Unsupported value: "EventRateLimit": supported values: "PodSecurity"'],
    ['a field that nobody knows', '- { name: PodSecurity, pth: x }', 'plugins[0].pth: unknown field'],
    [
      'a level that is none',
      `- name: PodSecurity\n  configuration:\n    ${indented.replace('baseline', 'strict')}`,
      'defaults.enforce: Invalid value: "strict": must be one of privileged, baseline, restricted',
    ],
    ['no configuration', '- name: PodSecurity', 'expected PodSecurityConfiguration'],
  ])('is refused with %s', async (_what, plugins, fault) => {
    await expect(parseAdmissionConfig(fileOf(plugins), nowhere)).rejects.toThrow(fault);
  });
});
