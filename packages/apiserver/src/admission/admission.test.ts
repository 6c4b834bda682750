import type { JsonObject } from '@dure/api';
import { seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { AuthorizerChain } from '../authorization/authorizer-chain.ts';
import { RbacAuthorizer } from '../authorization/rbac-authorizer.ts';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { UserInfo } from '../contract/user.ts';
import { admit, createRequest as create, readerOf } from '../testing/admission-bench.ts';
import { certificateRequestIdentity } from './certificate-request-identity.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { objectsIn } from './pod-shape.ts';
import { priority } from './priority.ts';
import { rbacEscalation } from './rbac-escalation.ts';
import { serviceAccount } from './service-account.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';

const node1: UserInfo = { name: 'system:node:node-1', groups: ['system:nodes'] };
const specOf = (object: JsonObject) => object.spec as JsonObject;
const podOf = (spec: JsonObject = {}): JsonObject => ({
  metadata: { name: 'web-0', namespace: 'default' },
  spec: { containers: [{ name: 'c' }], ...spec },
});

describe('NamespaceLifecycle', () => {
  const plugin = namespaceLifecycle(
    readerOf({
      '/namespaces': [
        { metadata: { name: 'default' }, status: { phase: 'Active' } },
        { metadata: { name: 'going', deletionTimestamp: '2026-01-01T00:00:00Z' } },
      ],
    }),
  );

  it('lets content into a namespace that is there', async () => {
    await expect(admit(plugin, create('pods', podOf()))).resolves.toBeDefined();
  });

  it('says that a namespace is not found', async () => {
    await expect(admit(plugin, create('pods', podOf(), { namespace: 'absent' }))).rejects.toThrow('namespaces "absent" not found');
  });

  it('keeps content out of a namespace that is going, with the cause clients look for', async () => {
    const refused = await admit(plugin, create('pods', podOf(), { namespace: 'going', name: 'web-0' })).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      message: 'pods "web-0" is forbidden: unable to create new content in namespace going because it is being terminated',
      status: { code: 403, details: { causes: [{ reason: 'NamespaceTerminating' }] } },
    });
  });

  it('keeps kube-system', async () => {
    await expect(admit(plugin, create('namespaces', {}, { operation: 'DELETE', name: 'kube-system', namespace: '' }))).rejects.toThrow(
      'this namespace may not be deleted',
    );
  });
});

describe('ServiceAccount', () => {
  const accounts = readerOf({
    '/serviceaccounts': [
      { metadata: { name: 'default', namespace: 'default' }, imagePullSecrets: [{ name: 'registry' }] },
      { metadata: { name: 'quiet', namespace: 'default' }, automountServiceAccountToken: false },
    ],
  });
  const plugin = serviceAccount(accounts, seededRandom(1));

  it('gives a Pod the default account, its token and its pull secrets', async () => {
    const spec = specOf(await admit(plugin, create('pods', podOf({ initContainers: [{ name: 'i' }] }))));
    expect(spec).toMatchObject({ serviceAccountName: 'default', serviceAccount: 'default', imagePullSecrets: [{ name: 'registry' }] });
    const [volume] = objectsIn(spec.volumes);
    expect(volume?.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    for (const container of [...objectsIn(spec.containers), ...objectsIn(spec.initContainers)]) {
      expect(container.volumeMounts).toEqual([
        { name: volume?.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
      ]);
    }
  });

  it.each<[string, JsonObject]>([
    ['the Pod declines', { automountServiceAccountToken: false }],
    ['the account declines', { serviceAccountName: 'quiet' }],
    [
      'a volume stands there already',
      { containers: [{ name: 'c', volumeMounts: [{ name: 'own', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }] }] },
    ],
  ])('mounts no token where %s', async (_why, spec) => {
    expect(objectsIn(specOf(await admit(plugin, create('pods', podOf(spec)))).volumes)).toEqual([]);
  });

  it('lets the Pod overrule an account that declines', async () => {
    const spec = specOf(await admit(plugin, create('pods', podOf({ serviceAccountName: 'quiet', automountServiceAccountToken: true }))));
    expect(objectsIn(spec.volumes)).toHaveLength(1);
  });

  it('refuses a Pod whose account does not exist', async () => {
    await expect(admit(plugin, create('pods', podOf({ serviceAccountName: 'gone' }), { name: 'web-0' }))).rejects.toThrow(
      'pods "web-0" is forbidden: error looking up service account default/gone: serviceaccount "gone" not found',
    );
  });
});

describe('Priority', () => {
  const plugin = priority(
    readerOf({ 'scheduling.k8s.io/priorityclasses': [{ metadata: { name: 'high' }, value: 1000, preemptionPolicy: 'Never' }] }),
  );

  it('writes the number of the class into the Pod', async () => {
    expect(specOf(await admit(plugin, create('pods', podOf({ priorityClassName: 'high' }))))).toMatchObject({
      priority: 1000,
      preemptionPolicy: 'Never',
    });
    expect(specOf(await admit(plugin, create('pods', podOf())))).toMatchObject({ priority: 0, preemptionPolicy: 'PreemptLowerPriority' });
  });

  it('refuses a class that does not exist, and a number of one’s own', async () => {
    await expect(admit(plugin, create('pods', podOf({ priorityClassName: 'gone' })))).rejects.toThrow(
      'no PriorityClass with name gone was found',
    );
    await expect(admit(plugin, create('pods', podOf({ priority: 7 })))).rejects.toThrow('must not be provided in pod spec');
  });
});

describe('DefaultTolerationSeconds and TaintNodesByCondition', () => {
  it('tolerate for five minutes what the Pod does not speak of', async () => {
    const own = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 };
    const spec = specOf(await admit(defaultTolerationSeconds, create('pods', podOf({ tolerations: [own] }))));
    expect(spec.tolerations).toEqual([
      own,
      { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    ]);
    const all = specOf(await admit(defaultTolerationSeconds, create('pods', podOf({ tolerations: [{ operator: 'Exists' }] }))));
    expect(all.tolerations).toEqual([{ operator: 'Exists' }]);
  });

  it('tolerate it also for a Pod whose tolerations are replaced', async () => {
    const replaced = create('pods', podOf({ tolerations: [{ key: 'gpu', effect: 'NoSchedule' }] }), { operation: 'UPDATE' });
    const { tolerations } = specOf(await admit(defaultTolerationSeconds, replaced));
    expect(objectsIn(tolerations).map(({ key }) => key)).toEqual(['gpu', 'node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']);
  });

  it('start a Node as not ready', async () => {
    expect(await admit(taintNodesByCondition, create('nodes', { metadata: { name: 'node-1' } }, { namespace: '' }))).toMatchObject({
      spec: { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] },
    });
  });
});

describe('NodeRestriction', () => {
  const plugin = nodeRestriction(
    readerOf({
      '/pods': [
        { metadata: { name: 'mine', namespace: 'default', uid: 'm' }, spec: { nodeName: 'node-1' } },
        { metadata: { name: 'theirs', namespace: 'default', uid: 't' }, spec: { nodeName: 'node-2' } },
      ],
    }),
  );
  const node = (name: string, labels: JsonObject = {}, taints: JsonObject[] = []): JsonObject => ({
    metadata: { name, labels },
    spec: { taints },
  });
  const token = (name: string, uid: string): JsonObject => ({ spec: { boundObjectRef: { kind: 'Pod', name, uid } } });

  it.each<[string, boolean, AdmissionRequest]>([
    ['its own Node', true, create('nodes', node('node-1'), { user: node1, namespace: '' })],
    ['another Node', false, create('nodes', node('node-2'), { user: node1, namespace: '' })],
    [
      'its own labels',
      true,
      create('nodes', node('node-1', { 'kubernetes.io/hostname': 'node-1', rack: '7' }), { user: node1, namespace: '' }),
    ],
    [
      'a protected label',
      false,
      create('nodes', node('node-1', { 'node-restriction.kubernetes.io/tier': 'secret' }), { user: node1, namespace: '' }),
    ],
    [
      'a role label',
      false,
      create('nodes', node('node-1', { 'node-role.kubernetes.io/control-plane': '' }), { user: node1, namespace: '' }),
    ],
    [
      'taking a taint away',
      false,
      create('nodes', node('node-1'), {
        user: node1,
        namespace: '',
        name: 'node-1',
        operation: 'UPDATE',
        oldObject: node('node-1', {}, [{ key: 'k', effect: 'NoSchedule' }]) as never,
      }),
    ],
    ['status of its own Pod', true, create('pods', {}, { user: node1, subresource: 'status', operation: 'UPDATE', name: 'mine' })],
    [
      'status of another node’s Pod',
      false,
      create('pods', {}, { user: node1, subresource: 'status', operation: 'UPDATE', name: 'theirs' }),
    ],
    ['deleting another node’s Pod', false, create('pods', {}, { user: node1, operation: 'DELETE', name: 'theirs' })],
    ['creating an ordinary Pod', false, create('pods', podOf({ nodeName: 'node-1' }), { user: node1 })],
    [
      'a token for its own Pod',
      true,
      create('serviceaccounts', token('mine', 'm'), { user: node1, subresource: 'token', name: 'default' }),
    ],
    [
      'a token for another node’s Pod',
      false,
      create('serviceaccounts', token('theirs', 't'), { user: node1, subresource: 'token', name: 'default' }),
    ],
    ['a token for no Pod', false, create('serviceaccounts', {}, { user: node1, subresource: 'token', name: 'default' })],
    [
      'its own Lease',
      true,
      create('leases', { metadata: { name: 'node-1' } }, { user: node1, group: 'coordination.k8s.io', namespace: 'kube-node-lease' }),
    ],
    [
      'a leader’s Lease',
      false,
      create('leases', { metadata: { name: 'kube-scheduler' } }, { user: node1, group: 'coordination.k8s.io', namespace: 'kube-system' }),
    ],
    ['another user’s freedom', true, create('pods', podOf({ nodeName: 'node-2' }))],
  ])('%s: %s', async (_what, allowed, request) => {
    const outcome = await admit(plugin, request).then(
      () => true,
      (error: { status?: { code: number } }) => error.status?.code !== 403,
    );
    expect(outcome).toBe(allowed);
  });
});

describe('CertificateRequestIdentity', () => {
  it('says who asks, over whatever the request claims', async () => {
    const claimed = { spec: { request: 'cGVt', signerName: 's', username: 'system:node:other', groups: ['system:masters'], uid: 'u' } };
    const admitted = await admit(
      certificateRequestIdentity,
      create('certificatesigningrequests', claimed, { user: node1, group: 'certificates.k8s.io', namespace: '' }),
    );
    expect(admitted.spec).toEqual({ request: 'cGVt', signerName: 's', username: 'system:node:node-1', groups: ['system:nodes'] });
  });
});

describe('RBACEscalation', () => {
  const rbac = 'rbac.authorization.k8s.io';
  const read = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
  const reader = readerOf({
    [`${rbac}/clusterroles`]: [
      { metadata: { name: 'read' }, rules: [read] },
      { metadata: { name: 'all' }, rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] },
      {
        metadata: { name: 'binder' },
        rules: [{ verbs: ['bind'], apiGroups: [rbac], resources: ['clusterroles'], resourceNames: ['all'] }],
      },
    ],
    [`${rbac}/clusterrolebindings`]: [
      { metadata: { name: 'r' }, subjects: [{ kind: 'User', name: 'reader' }], roleRef: { kind: 'ClusterRole', name: 'read' } },
      { metadata: { name: 'b' }, subjects: [{ kind: 'User', name: 'binder' }], roleRef: { kind: 'ClusterRole', name: 'binder' } },
    ],
  });
  const authorizer = new RbacAuthorizer(reader);
  const plugin = rbacEscalation(new AuthorizerChain([authorizer]), authorizer);
  const bind = (user: string, role: string) =>
    create(
      'clusterrolebindings',
      { metadata: { name: 'x' }, roleRef: { kind: 'ClusterRole', name: role } },
      { user: { name: user, groups: [] }, group: rbac, namespace: '' },
    );
  const role = (user: string, rules: JsonObject[]) =>
    create('clusterroles', { metadata: { name: 'x' }, rules }, { user: { name: user, groups: [] }, group: rbac, namespace: '' });

  it('lets nobody bind or write more than he holds', async () => {
    await expect(admit(plugin, bind('reader', 'read'))).resolves.toBeDefined();
    await expect(admit(plugin, bind('reader', 'all'))).rejects.toThrow('attempting to grant RBAC permissions not currently held');
    await expect(admit(plugin, role('reader', [read]))).resolves.toBeDefined();
    await expect(admit(plugin, role('reader', [{ ...read, verbs: ['delete'] }]))).rejects.toThrow('not currently held');
  });

  it('lets pass who may bind that role', async () => {
    await expect(admit(plugin, bind('binder', 'all'))).resolves.toBeDefined();
    await expect(admit(plugin, bind('binder', 'read'))).rejects.toThrow('not currently held');
  });
});
