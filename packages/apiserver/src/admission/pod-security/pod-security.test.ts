import type { JsonObject } from '@dure/api';
import { describe, expect, it } from 'vitest';
import type { AdmissionRequest } from '../../contract/admission.ts';
import { admit, createRequest, readerOf, updateRequest } from '../../testing/admission-bench.ts';
import { detailsOf, evaluatePod } from './evaluation.ts';
import { podSecurity } from './pod-security.ts';
import { type PodSecurityExemptions, USUAL_POD_SECURITY } from './pod-security-config.ts';
import { NO_POLICY, policyOf, type Standard, showStandard } from './policy.ts';

const latest = (level: Standard['level']): Standard => ({ level, minor: 'latest' });
const podOf = (spec: JsonObject = {}, container: JsonObject = {}, metadata: JsonObject = { name: 'web' }) => ({
  metadata,
  spec: { containers: [{ name: 'c', image: 'i', ...container }], ...spec },
});
/** Up to `restricted`. */
const GOOD: JsonObject = {
  securityContext: {
    runAsNonRoot: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  },
};
const secured = (more: JsonObject): JsonObject => ({ securityContext: { ...(GOOD.securityContext as JsonObject), ...more } });

describe('baseline', () => {
  it.each<[string, JsonObject, JsonObject, string]>([
    [
      'host namespaces',
      { hostNetwork: true, hostPID: true, hostIPC: true },
      {},
      'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
    ],
    [
      'hostPath',
      {
        volumes: [
          { name: 'a', hostPath: { path: '/' } },
          { name: 'b', hostPath: { path: '/' } },
        ],
      },
      {},
      'hostPath volumes (volumes "a", "b")',
    ],
    ['hostPort', {}, { ports: [{ containerPort: 1, hostPort: 80 }] }, 'hostPort (container "c" uses hostPort 80)'],
    [
      'privileged',
      {},
      { securityContext: { privileged: true } },
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [
      'capabilities',
      {},
      { securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN', 'BPF'] } } },
      'non-default capabilities (container "c" must not include "BPF", "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      'procMount',
      {},
      { securityContext: { procMount: 'Unmasked' } },
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      'seccomp',
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      'SELinux',
      { securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u' } } },
      {},
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ],
    ['sysctls', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, {}, 'forbidden sysctls (kernel.msgmax)'],
    [
      'AppArmor',
      {},
      { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
      'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
    ],
    [
      'probes of other hosts',
      {},
      { livenessProbe: { httpGet: { host: 'h', port: 1 } } },
      'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
    ],
    [
      'Windows host processes',
      { securityContext: { windowsOptions: { hostProcess: true } } },
      {},
      'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
    ],
  ])('forbids %s', (_what, spec, container, expected) => {
    expect(detailsOf(evaluatePod(latest('baseline'), podOf(spec, container)))).toBe(expected);
  });

  it('looks at containers of every sort', () => {
    const bad = { name: 'x', securityContext: { privileged: true } };
    const pod = podOf({ initContainers: [{ ...bad, name: 'i' }], ephemeralContainers: [{ ...bad, name: 'e' }] });
    expect(detailsOf(evaluatePod(latest('baseline'), pod))).toContain('containers "i", "e" must not set');
  });

  it.each<[string, number, JsonObject, JsonObject]>([
    ['a sysctl', 27, { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports', value: '1' }] } }, {}],
    ['an SELinux type', 31, { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } }, {}],
    ['an unmasked /proc of own users', 35, { hostUsers: false }, { securityContext: { procMount: 'Unmasked' } }],
  ])('allows %s from 1.%i on', (_what, minor, spec, container) => {
    expect(evaluatePod({ level: 'baseline', minor: minor - 1 }, podOf(spec, container))).toHaveLength(1);
    expect(evaluatePod({ level: 'baseline', minor }, podOf(spec, container))).toEqual([]);
  });
});

describe('restricted', () => {
  it('says everything that is missing, in upstream’s words and order', () => {
    expect(detailsOf(evaluatePod(latest('restricted'), podOf()))).toBe(
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
  });

  it.each<[string, JsonObject, JsonObject, string]>([
    ['nothing', {}, GOOD, ''],
    [
      'a capability too many, once',
      {},
      secured({ capabilities: { drop: ['ALL'], add: ['CHOWN', 'NET_BIND_SERVICE'] } }),
      'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)',
    ],
    [
      'a volume of the wrong type, once',
      {
        volumes: [
          { name: 'v', hostPath: { path: '/' } },
          { name: 'w', emptyDir: {} },
        ],
      },
      GOOD,
      'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    ],
    ['root by number', {}, secured({ runAsUser: 0 }), 'runAsUser=0 (container "c" must not set runAsUser=0)'],
    ['root among own users: nothing', { hostUsers: false }, secured({ runAsUser: 0, runAsNonRoot: false }), ''],
    [
      'a refusal to be nobody',
      { securityContext: { runAsNonRoot: false } },
      GOOD,
      'runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)',
    ],
    ['Windows: what only Linux has', { os: { name: 'windows' }, securityContext: { runAsNonRoot: true } }, {}, ''],
  ])('finds %s', (_what, spec, container, expected) => {
    expect(detailsOf(evaluatePod(latest('restricted'), podOf(spec, container)))).toBe(expected);
  });
});

describe('labels', () => {
  const read = (labels: Record<string, string>) => {
    const { policy, faults } = policyOf(
      Object.fromEntries(Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value])),
    );
    return [showStandard(policy.enforce), showStandard(policy.audit), showStandard(policy.warn), faults.map(({ message }) => message)];
  };
  it.each<[Record<string, string>, ReturnType<typeof read>]>([
    [{}, ['privileged:latest', 'privileged:latest', 'privileged:latest', []]],
    [{ enforce: 'baseline', 'enforce-version': 'v1.30' }, ['baseline:v1.30', 'privileged:latest', 'baseline:v1.30', []]],
    [{ enforce: 'baseline', warn: 'privileged' }, ['baseline:latest', 'privileged:latest', 'privileged:latest', []]],
    [{ warn: 'restricted', audit: 'baseline' }, ['privileged:latest', 'baseline:latest', 'restricted:latest', []]],
    [
      { enforce: 'strict', audit: 'x', 'warn-version': '1.2' },
      [
        'restricted:latest',
        'privileged:latest',
        'privileged:latest',
        [
          'Invalid value: "strict": must be one of privileged, baseline, restricted',
          'Invalid value: "x": must be one of privileged, baseline, restricted',
          'Invalid value: "1.2": must be "latest" or "v1.x"',
        ],
      ],
    ],
  ])('%j', (labels, expected) => {
    expect(read(labels)).toEqual(expected);
  });
});

it('what labels do not say is as the cluster says', () => {
  const defaults = { ...NO_POLICY, enforce: { level: 'baseline', minor: 30 } as const };
  expect(policyOf({}, defaults).policy).toEqual(defaults);
  const { policy } = policyOf({ 'pod-security.kubernetes.io/enforce': 'restricted' }, defaults);
  expect(showStandard(policy.enforce)).toBe('restricted:v1.30');
  expect(showStandard(policy.warn)).toBe('restricted:v1.30');
});

interface Told {
  readonly warnings: string[];
  readonly notes: Record<string, string>;
}

/** The plugin over one namespace with `labels`, and what it told. */
function guarded(labels: Record<string, string>, exemptions: Partial<PodSecurityExemptions> = {}, pods: JsonObject[] = []) {
  const namespace = { metadata: { name: 'default', labels: prefixed(labels) } };
  const config = { ...USUAL_POD_SECURITY, exemptions: { ...USUAL_POD_SECURITY.exemptions, ...exemptions } };
  const plugin = podSecurity(readerOf({ '/namespaces': [namespace], '/pods': pods }), config);
  const told: Told = { warnings: [], notes: {} };
  const tell = {
    warn: (text: string) => void told.warnings.push(text),
    annotate(key: string, text: string) {
      told.notes[key] = text;
    },
  };
  return { told, judge: (request: AdmissionRequest) => admit(plugin, { ...request, ...tell }) };
}

function prefixed(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]));
}

describe('a Pod', () => {
  const bad = podOf({ hostPID: true });

  it('is refused where its namespace enforces more', async () => {
    const { judge, told } = guarded({ enforce: 'baseline', 'enforce-version': 'v1.36', audit: 'baseline' });
    await expect(judge(createRequest('pods', bad, { name: 'web' }))).rejects.toMatchObject({
      message: 'pods "web" is forbidden: violates PodSecurity "baseline:v1.36": host namespaces (hostPID=true)',
      status: { code: 403, reason: 'Forbidden' },
    });
    expect(told).toEqual({
      warnings: [],
      notes: {
        'pod-security.kubernetes.io/enforce-policy': 'baseline:v1.36',
        'pod-security.kubernetes.io/audit-violations': 'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)',
      },
    });
  });

  it('passes with a warning where it is warned of only', async () => {
    const { judge, told } = guarded({ warn: 'baseline' });
    await judge(createRequest('pods', bad));
    expect(told.warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)']);
  });

  it('is judged anew where containers change, and only there', async () => {
    const { judge } = guarded({ enforce: 'baseline' });
    const labelled = { ...bad, metadata: { name: 'web', labels: { a: 'b' } } };
    await expect(judge(updateRequest('pods', bad, labelled))).resolves.toBeDefined();
    await expect(judge(updateRequest('pods', bad, podOf({ hostPID: true }, { image: 'other' })))).rejects.toThrow('violates PodSecurity');
    const debugged = podOf({ ephemeralContainers: [{ name: 'd', image: 'i', securityContext: { privileged: true } }] });
    await expect(judge(updateRequest('pods', podOf(), debugged, { subresource: 'ephemeralcontainers' }))).rejects.toThrow('container "d"');
    await expect(judge(updateRequest('pods', bad, debugged, { subresource: 'status' }))).resolves.toBeDefined();
  });

  it.each<[string, Partial<PodSecurityExemptions>]>([
    ['namespace', { namespaces: ['default'] }],
    ['user', { usernames: ['admin'] }],
    ['runtimeClass', { runtimeClasses: ['vm'] }],
  ])('of an exempt %s passes', async (why, exemptions) => {
    const { judge, told } = guarded({ enforce: 'restricted' }, exemptions);
    await judge(createRequest('pods', podOf({ hostPID: true, runtimeClassName: 'vm' })));
    expect(told).toEqual({ warnings: [], notes: { 'pod-security.kubernetes.io/exempt': why } });
  });
});

describe('what makes Pods', () => {
  it.each<[string, string, (template: JsonObject) => JsonObject]>([
    ['apps', 'deployments', (template) => ({ spec: { template } })],
    ['batch', 'cronjobs', (template) => ({ spec: { jobTemplate: { spec: { template } } } })],
    ['', 'podtemplates', (template) => ({ template })],
  ])('is let in with a warning: %s %s', async (group, resource, wrap) => {
    const { judge, told } = guarded({ enforce: 'baseline' });
    await judge(createRequest(resource, wrap(podOf({ hostIPC: true })), { group }));
    expect(told.warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostIPC=true)']);
  });
});

describe('a namespace', () => {
  const namespaceOf = (labels: Record<string, string>): JsonObject => ({ metadata: { name: 'default', labels: prefixed(labels) } });
  const change = (from: Record<string, string>, to: Record<string, string>) =>
    updateRequest('namespaces', namespaceOf(from), namespaceOf(to), { namespace: '', name: 'default' });
  const owned = (name: string, spec: JsonObject) =>
    ({ ...podOf(spec), metadata: { name, namespace: 'default', ownerReferences: [{ uid: 'rs', controller: true }] } }) as JsonObject;

  it('must have labels that can be read, unless they were there before', async () => {
    const { judge } = guarded({});
    await expect(judge(createRequest('namespaces', namespaceOf({ enforce: 'x' }), { namespace: '' }))).rejects.toThrow(
      'Namespace "default" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted',
    );
    await expect(judge(change({ enforce: 'x' }, { enforce: 'x', 'warn-version': 'latest' }))).resolves.toBeDefined();
  });

  it('that becomes stricter tells which Pods would not be let in', async () => {
    const pods = [
      owned('b', { hostPID: true }),
      owned('a', { hostPID: true }),
      {
        ...podOf({ hostNetwork: true, volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
        metadata: { name: 'other', namespace: 'default' },
      },
      { ...podOf(), metadata: { name: 'fine', namespace: 'default' } },
    ];
    const { judge, told } = guarded({}, {}, pods);
    await judge(change({}, { enforce: 'baseline' }));
    expect(told.warnings).toEqual([
      'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
      'a (and 1 other pod): host namespaces',
      'other: host namespaces, hostPath volumes',
    ]);
    told.warnings.length = 0;
    await judge(change({ enforce: 'restricted' }, { enforce: 'baseline' }));
    await judge(change({ enforce: 'baseline' }, { enforce: 'baseline', warn: 'restricted' }));
    expect(told.warnings).toEqual([]);
  });
});
