import type { JsonObject } from '@dure/api';
import type { PolicyRule } from '../authorization/rule-matching.ts';

/**
 * The roles and bindings that every cluster starts with, by upstream's names.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */

const API_VERSION = 'rbac.authorization.k8s.io/v1';
const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
/** Says that a later start may add what is missing; an operator sets it to "false" to keep a role as it is. */
const ANNOTATIONS = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' };

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];

export function bootstrapRoles(): JsonObject[] {
  return [
    ...userFacingRoles(),
    ...systemRoles(),
    clusterRoleBinding('cluster-admin', 'cluster-admin', group('system:masters')),
    clusterRoleBinding('system:discovery', 'system:discovery', group('system:authenticated')),
    clusterRoleBinding('system:basic-user', 'system:basic-user', group('system:authenticated')),
    clusterRoleBinding(
      'system:public-info-viewer',
      'system:public-info-viewer',
      group('system:authenticated'),
      group('system:unauthenticated'),
    ),
    clusterRoleBinding(
      'system:service-account-issuer-discovery',
      'system:service-account-issuer-discovery',
      group('system:serviceaccounts'),
    ),
    clusterRoleBinding('system:monitoring', 'system:monitoring', group('system:monitoring')),
    clusterRoleBinding('system:node-proxier', 'system:node-proxier', user('system:kube-proxy')),
    clusterRoleBinding('system:kube-scheduler', 'system:kube-scheduler', user('system:kube-scheduler')),
    clusterRoleBinding('system:kube-controller-manager', 'system:kube-controller-manager', user('system:kube-controller-manager')),
    clusterRoleBinding('system:kube-dns', 'system:kube-dns', { kind: 'ServiceAccount', name: 'kube-dns', namespace: 'kube-system' }),
    // No subjects: nodes are authorized by the Node authorizer; the binding exists because clients look for it.
    clusterRoleBinding('system:node', 'system:node'),
    // What a join token needs: to ask for a certificate, and to have a first one approved.
    clusterRoleBinding('dure:node-bootstrapper', 'system:node-bootstrapper', group('system:bootstrappers')),
    clusterRoleBinding(
      'dure:node-autoapprove-bootstrap',
      'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
      group('system:bootstrappers'),
    ),
    clusterRoleBinding(
      'dure:node-autoapprove-renewal',
      'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
      group('system:nodes'),
    ),
    role('kube-system', 'extension-apiserver-authentication-reader', [
      { verbs: READ, apiGroups: [''], resources: ['configmaps'], resourceNames: ['extension-apiserver-authentication'] },
    ]),
    role('kube-system', 'system::leader-locking-kube-scheduler', leaderLock('kube-scheduler')),
    role('kube-system', 'system::leader-locking-kube-controller-manager', leaderLock('kube-controller-manager')),
    roleBinding(
      'kube-system',
      'system::extension-apiserver-authentication-reader',
      'extension-apiserver-authentication-reader',
      user('system:kube-controller-manager'),
      user('system:kube-scheduler'),
    ),
    roleBinding(
      'kube-system',
      'system::leader-locking-kube-scheduler',
      'system::leader-locking-kube-scheduler',
      user('system:kube-scheduler'),
    ),
    roleBinding(
      'kube-system',
      'system::leader-locking-kube-controller-manager',
      'system::leader-locking-kube-controller-manager',
      user('system:kube-controller-manager'),
    ),
    role('kube-public', 'system:controller:bootstrap-signer', [
      { verbs: READ, apiGroups: [''], resources: ['configmaps'] },
      { verbs: ['update'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['cluster-info'] },
    ]),
    role('kube-public', 'dure:cluster-info', [
      { verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['cluster-info'] },
    ]),
    roleBinding(
      'kube-public',
      'dure:cluster-info',
      'dure:cluster-info',
      user('system:anonymous'),
      group('system:unauthenticated'),
      group('system:authenticated'),
    ),
  ];
}

function userFacingRoles(): JsonObject[] {
  return [
    clusterRole('cluster-admin', [
      { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
      { verbs: ['*'], nonResourceURLs: ['*'] },
    ]),
    aggregated('admin', 'admin', [...viewRules(), ...editRules(), ...adminRules()]),
    aggregated('edit', 'edit', [...viewRules(), ...editRules()]),
    aggregated('view', 'view', viewRules()),
    clusterRole('system:aggregate-to-admin', adminRules(), { 'rbac.authorization.k8s.io/aggregate-to-admin': 'true' }),
    clusterRole('system:aggregate-to-edit', editRules(), { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' }),
    clusterRole('system:aggregate-to-view', viewRules(), { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }),
  ];
}

function systemRoles(): JsonObject[] {
  const urls = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ['get'], nonResourceURLs });
  return [
    clusterRole('system:discovery', [
      urls('/livez', '/readyz', '/healthz', '/version', '/version/', '/openapi', '/openapi/*', '/api', '/api/*', '/apis', '/apis/*'),
    ]),
    clusterRole('system:public-info-viewer', [urls('/livez', '/readyz', '/healthz', '/version', '/version/')]),
    clusterRole('system:basic-user', [
      { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'] },
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
    ]),
    clusterRole('system:service-account-issuer-discovery', [
      urls('/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/openid/v1/jwks', '/openid/v1/jwks/'),
    ]),
    clusterRole('system:monitoring', [
      urls('/metrics', '/metrics/slis', '/livez', '/livez/*', '/readyz', '/readyz/*', '/healthz', '/healthz/*'),
    ]),
    clusterRole('system:auth-delegator', [
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
      { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'] },
    ]),
    clusterRole('system:kubelet-api-admin', [
      { verbs: READ, apiGroups: [''], resources: ['nodes'] },
      {
        verbs: ['*'],
        apiGroups: [''],
        resources: [
          'nodes/proxy',
          'nodes/metrics',
          'nodes/stats',
          'nodes/log',
          'nodes/spec',
          'nodes/healthz',
          'nodes/pods',
          'nodes/configz',
        ],
      },
    ]),
    clusterRole('system:node', []),
    clusterRole('system:node-bootstrapper', [
      { verbs: ['create', ...READ], apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'] },
    ]),
    clusterRole('system:certificates.k8s.io:certificatesigningrequests:nodeclient', [
      { verbs: ['create'], apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests/nodeclient'] },
    ]),
    clusterRole('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', [
      { verbs: ['create'], apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests/selfnodeclient'] },
    ]),
    clusterRole('system:node-proxier', [
      { verbs: ['list', 'watch'], apiGroups: [''], resources: ['services', 'endpoints'] },
      { verbs: READ, apiGroups: [''], resources: ['nodes'] },
      { verbs: ['list', 'watch'], apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] },
      ...eventWriting(),
    ]),
    clusterRole('system:kube-dns', [{ verbs: ['list', 'watch'], apiGroups: [''], resources: ['endpoints', 'services'] }]),
    clusterRole('system:persistent-volume-provisioner', [
      { verbs: ['get', 'list', 'watch', 'create', 'delete'], apiGroups: [''], resources: ['persistentvolumes'] },
      { verbs: ['get', 'list', 'watch', 'update'], apiGroups: [''], resources: ['persistentvolumeclaims'] },
      { verbs: READ, apiGroups: ['storage.k8s.io'], resources: ['storageclasses'] },
      ...eventWriting(),
    ]),
    clusterRole('system:kube-scheduler', schedulerRules()),
    clusterRole('system:volume-scheduler', [
      { verbs: ['get', 'list', 'watch', 'patch', 'update'], apiGroups: [''], resources: ['persistentvolumes', 'persistentvolumeclaims'] },
      { verbs: READ, apiGroups: ['storage.k8s.io'], resources: ['storageclasses'] },
    ]),
    clusterRole('system:kube-controller-manager', controllerManagerRules()),
    clusterRole('system:heapster', [{ verbs: READ, apiGroups: [''], resources: ['events', 'namespaces', 'nodes', 'pods'] }]),
    clusterRole('system:node-problem-detector', [
      { verbs: ['get'], apiGroups: [''], resources: ['nodes'] },
      { verbs: ['patch'], apiGroups: [''], resources: ['nodes/status'] },
      ...eventWriting(),
    ]),
  ];
}

function viewRules(): PolicyRule[] {
  return [
    {
      verbs: READ,
      apiGroups: [''],
      resources: [
        'configmaps',
        'endpoints',
        'persistentvolumeclaims',
        'persistentvolumeclaims/status',
        'pods',
        'replicationcontrollers',
        'replicationcontrollers/scale',
        'serviceaccounts',
        'services',
        'services/status',
      ],
    },
    {
      verbs: READ,
      apiGroups: [''],
      resources: [
        'bindings',
        'events',
        'limitranges',
        'namespaces/status',
        'pods/log',
        'pods/status',
        'replicationcontrollers/status',
        'resourcequotas',
        'resourcequotas/status',
        'namespaces',
      ],
    },
    { verbs: READ, apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] },
    {
      verbs: READ,
      apiGroups: ['apps'],
      resources: [
        'controllerrevisions',
        'daemonsets',
        'daemonsets/status',
        'deployments',
        'deployments/scale',
        'deployments/status',
        'replicasets',
        'replicasets/scale',
        'replicasets/status',
        'statefulsets',
        'statefulsets/scale',
        'statefulsets/status',
      ],
    },
    { verbs: READ, apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'] },
    { verbs: READ, apiGroups: ['batch'], resources: ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'] },
    { verbs: READ, apiGroups: ['policy'], resources: ['poddisruptionbudgets', 'poddisruptionbudgets/status'] },
    { verbs: READ, apiGroups: ['networking.k8s.io'], resources: ['ingresses', 'ingresses/status', 'networkpolicies'] },
    { verbs: READ, apiGroups: ['metrics.k8s.io'], resources: ['pods', 'nodes'] },
    { verbs: READ, apiGroups: ['resource.k8s.io'], resources: ['resourceclaims', 'resourceclaims/status', 'resourceclaimtemplates'] },
  ];
}

function editRules(): PolicyRule[] {
  return [
    {
      verbs: READ,
      apiGroups: [''],
      resources: ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'],
    },
    { verbs: ['impersonate'], apiGroups: [''], resources: ['serviceaccounts'] },
    { verbs: WRITE, apiGroups: [''], resources: ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'] },
    { verbs: ['create'], apiGroups: [''], resources: ['pods/eviction'] },
    {
      verbs: WRITE,
      apiGroups: [''],
      resources: [
        'configmaps',
        'events',
        'persistentvolumeclaims',
        'replicationcontrollers',
        'replicationcontrollers/scale',
        'secrets',
        'serviceaccounts',
        'services',
        'services/proxy',
      ],
    },
    { verbs: ['create'], apiGroups: [''], resources: ['serviceaccounts/token'] },
    {
      verbs: WRITE,
      apiGroups: ['apps'],
      resources: [
        'daemonsets',
        'deployments',
        'deployments/rollback',
        'deployments/scale',
        'replicasets',
        'replicasets/scale',
        'statefulsets',
        'statefulsets/scale',
      ],
    },
    { verbs: WRITE, apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'] },
    { verbs: WRITE, apiGroups: ['batch'], resources: ['cronjobs', 'jobs'] },
    { verbs: WRITE, apiGroups: ['policy'], resources: ['poddisruptionbudgets'] },
    { verbs: WRITE, apiGroups: ['networking.k8s.io'], resources: ['ingresses', 'networkpolicies'] },
    {
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
    },
    { verbs: WRITE, apiGroups: ['resource.k8s.io'], resources: ['resourceclaims', 'resourceclaimtemplates'] },
  ];
}

function adminRules(): PolicyRule[] {
  return [
    { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['localsubjectaccessreviews'] },
    {
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      apiGroups: ['rbac.authorization.k8s.io'],
      resources: ['roles', 'rolebindings'],
    },
  ];
}

function schedulerRules(): PolicyRule[] {
  return [
    ...eventWriting(),
    { verbs: ['create'], apiGroups: ['coordination.k8s.io'], resources: ['leases'] },
    {
      verbs: ['get', 'list', 'watch', 'update'],
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: ['kube-scheduler'],
    },
    {
      verbs: READ,
      apiGroups: [''],
      resources: ['nodes', 'namespaces', 'services', 'replicationcontrollers', 'persistentvolumeclaims', 'persistentvolumes'],
    },
    { verbs: ['delete', ...READ], apiGroups: [''], resources: ['pods'] },
    { verbs: ['create'], apiGroups: [''], resources: ['bindings', 'pods/binding'] },
    { verbs: ['patch', 'update'], apiGroups: [''], resources: ['pods/status'] },
    { verbs: READ, apiGroups: ['apps'], resources: ['replicasets', 'statefulsets'] },
    { verbs: READ, apiGroups: ['policy'], resources: ['poddisruptionbudgets'] },
    { verbs: READ, apiGroups: ['storage.k8s.io'], resources: ['csinodes', 'csidrivers', 'csistoragecapacities', 'storageclasses'] },
  ];
}

function controllerManagerRules(): PolicyRule[] {
  return [
    ...eventWriting(),
    { verbs: ['create'], apiGroups: ['coordination.k8s.io'], resources: ['leases'] },
    { verbs: ['get', 'update'], apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['kube-controller-manager'] },
    { verbs: ['create', 'get', 'update'], apiGroups: [''], resources: ['secrets', 'serviceaccounts'] },
    { verbs: ['delete'], apiGroups: [''], resources: ['secrets'] },
    { verbs: ['get'], apiGroups: [''], resources: ['configmaps', 'namespaces'] },
    { verbs: ['create'], apiGroups: [''], resources: ['serviceaccounts/token'] },
    { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
    { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'] },
    { verbs: ['list', 'watch'], apiGroups: ['*'], resources: ['*'] },
  ];
}

function eventWriting(): PolicyRule[] {
  return [{ verbs: ['create', 'patch', 'update'], apiGroups: ['', 'events.k8s.io'], resources: ['events'] }];
}

function leaderLock(name: string): PolicyRule[] {
  return [
    { verbs: ['watch'], apiGroups: [''], resources: ['configmaps'] },
    { verbs: ['get', 'update'], apiGroups: [''], resources: ['configmaps'], resourceNames: [name] },
  ];
}

type Subject = Readonly<Record<'kind' | 'name', string>> & { readonly namespace?: string; readonly apiGroup?: string };

function group(name: string): Subject {
  return { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name };
}

function user(name: string): Subject {
  return { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name };
}

function metadata(name: string, namespace?: string, labels: Readonly<Record<string, string>> = {}): JsonObject {
  return { name, ...(namespace === undefined ? {} : { namespace }), labels: { ...LABELS, ...labels }, annotations: { ...ANNOTATIONS } };
}

function rulesAsJson(rules: readonly PolicyRule[]): JsonObject[] {
  return rules.map((rule) => structuredClone(rule) as unknown as JsonObject);
}

function clusterRole(name: string, rules: readonly PolicyRule[], labels: Readonly<Record<string, string>> = {}): JsonObject {
  return { apiVersion: API_VERSION, kind: 'ClusterRole', metadata: metadata(name, undefined, labels), rules: rulesAsJson(rules) };
}

/** @param tier Roles with the label `aggregate-to-<tier>` are summed up in it. */
function aggregated(name: string, tier: string, rules: readonly PolicyRule[]): JsonObject {
  const selectors = { clusterRoleSelectors: [{ matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${tier}`]: 'true' } }] };
  // edit is summed up in admin, and view in edit, by carrying the next tier's label.
  const labels: Record<string, string> =
    name === 'edit'
      ? { 'rbac.authorization.k8s.io/aggregate-to-admin': 'true' }
      : name === 'view'
        ? { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' }
        : {};
  return { ...clusterRole(name, rules, labels), aggregationRule: selectors };
}

function clusterRoleBinding(name: string, roleName: string, ...subjects: readonly Subject[]): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: roleName },
    subjects: subjects.map((subject) => ({ ...subject }) as JsonObject),
  };
}

function role(namespace: string, name: string, rules: readonly PolicyRule[]): JsonObject {
  return { apiVersion: API_VERSION, kind: 'Role', metadata: metadata(name, namespace), rules: rulesAsJson(rules) };
}

function roleBinding(namespace: string, name: string, roleName: string, ...subjects: readonly Subject[]): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind: 'RoleBinding',
    metadata: metadata(name, namespace),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: roleName },
    subjects: subjects.map((subject) => ({ ...subject }) as JsonObject),
  };
}
