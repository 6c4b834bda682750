import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindProbe } from '../../testing/kind-probe.ts';
import { autoscalerV1Conversion } from '../workloads/autoscaler-conversion.ts';

const RBAC = 'rbac.authorization.k8s.io';
const roles = new KindProbe(RBAC, 'roles');
const clusterRoles = new KindProbe(RBAC, 'clusterroles');
const roleBindings = new KindProbe(RBAC, 'rolebindings');
const clusterRoleBindings = new KindProbe(RBAC, 'clusterrolebindings');
const requests = new KindProbe('certificates.k8s.io', 'certificatesigningrequests');
const claims = new KindProbe('', 'persistentvolumeclaims');
const volumes = new KindProbe('', 'persistentvolumes');
const classes = new KindProbe('storage.k8s.io', 'storageclasses');
const priorities = new KindProbe('scheduling.k8s.io', 'priorityclasses');
const policies = new KindProbe('networking.k8s.io', 'networkpolicies');
const ingresses = new KindProbe('networking.k8s.io', 'ingresses');
const budgets = new KindProbe('policy', 'poddisruptionbudgets');
const autoscalers = new KindProbe('autoscaling', 'horizontalpodautoscalers', 'v2');
const crds = new KindProbe('apiextensions.k8s.io', 'customresourcedefinitions');
const apiServices = new KindProbe('apiregistration.k8s.io', 'apiservices');
const slices = new KindProbe('resource.k8s.io', 'resourceslices');
const csiNodes = new KindProbe('storage.k8s.io', 'csinodes');

const pem = Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n').toString('base64');
const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
const roleRef = { kind: 'ClusterRole', name: 'view' };

function crd(edit: JsonObject = {}): JsonObject {
  return {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      ...edit,
    },
  };
}

describe('validation', () => {
  it.each<[string, KindProbe, JsonObject, string[]]>([
    ['a role', roles, { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] }, []],
    ['names with colons', clusterRoles, { metadata: { name: 'system:node' } }, []],
    [
      'a role without verbs',
      roles,
      { rules: [{ apiGroups: [''], resources: ['pods'] }] },
      ['rules[0].verbs: Required value: verbs must contain at least one value'],
    ],
    [
      'URLs in a namespace',
      roles,
      { rules: [{ nonResourceURLs: ['/x'], verbs: ['get'] }] },
      ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'],
    ],
    ['URLs in the cluster', clusterRoles, { rules: [{ nonResourceURLs: ['/x'], verbs: ['get'] }] }, []],
    [
      'rules about nothing',
      clusterRoles,
      { rules: [{ verbs: ['get'] }] },
      [
        'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
        'rules[0].resources: Required value: resource rules must supply at least one resource',
      ],
    ],
    [
      'a binding',
      roleBindings,
      {
        roleRef,
        subjects: [
          { kind: 'User', name: 'a' },
          { kind: 'ServiceAccount', name: 'd' },
        ],
      },
      [],
    ],
    [
      'a binding of the cluster to a role of a namespace',
      clusterRoleBindings,
      { roleRef: { kind: 'Role', name: 'r' } },
      ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
    ],
    [
      'a subject of nowhere',
      clusterRoleBindings,
      {
        roleRef,
        subjects: [
          { kind: 'ServiceAccount', name: 'd' },
          { kind: 'Robot', name: 'r' },
        ],
      },
      [
        'subjects[0].namespace: Required value',
        'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      ],
    ],
    ['a request', requests, { spec: { request: pem, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] } }, []],
    [
      'a request of nothing',
      requests,
      { spec: { request: '', usages: [], expirationSeconds: 5 } },
      [
        'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
        'spec.usages: Required value: usages are required',
        'spec.signerName: Required value',
        'spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)',
      ],
    ],
    ['a claim', claims, { spec: claim }, []],
    [
      'a claim of nothing',
      claims,
      { spec: {} },
      ['spec.accessModes: Required value: at least 1 access mode is required', 'spec.resources[storage]: Required value'],
    ],
    ['a volume', volumes, { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } } }, []],
    [
      'a volume of nothing',
      volumes,
      { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] } },
      ['spec: Required value: must specify a volume type'],
    ],
    ['a class', classes, { provisioner: 'x/y' }, []],
    ['a node without drivers', csiNodes, { spec: {} }, []],
    ['a driver without a name', csiNodes, { spec: { drivers: [{ nodeID: 'n' }] } }, ['spec.drivers[0].name: Required value']],
    ['a class without one', classes, {}, ['provisioner: Required value']],
    ['a priority', priorities, { value: 5 }, []],
    [
      'a priority too high',
      priorities,
      { value: 1_000_000_001 },
      ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
    ],
    [
      'a policy',
      policies,
      { spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }] } },
      [],
    ],
    [
      'a policy of nobody',
      policies,
      { spec: { ingress: [{ from: [{}] }] } },
      ['spec.ingress[0].from[0]: Required value: must specify a peer'],
    ],
    ['an ingress of nothing', ingresses, { spec: {} }, ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified']],
    [
      'an ingress without a path type',
      ingresses,
      { spec: { rules: [{ http: { paths: [{ path: '/', backend: { service: { name: 's', port: { number: 80 } } } }] } }] } },
      ['spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified'],
    ],
    [
      'a budget of both',
      budgets,
      { spec: { minAvailable: 1, maxUnavailable: 1 } },
      [expect.stringContaining('minAvailable and maxUnavailable cannot be both set') as unknown as string],
    ],
    [
      'an autoscaler without room',
      autoscalers,
      { spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, minReplicas: 5, maxReplicas: 2 } },
      ['spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`'],
    ],
    ['a definition', crds, crd(), []],
    [
      'a definition of another name',
      crds,
      { ...crd(), metadata: { name: 'x' } },
      ['metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group'],
    ],
    [
      'a definition that is not stored',
      crds,
      crd({ versions: [{ name: 'v1', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } }] }),
      ['spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version'],
    ],
    [
      'a schema that says no types',
      crds,
      crd({
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } } }],
      }),
      ['spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields'],
    ],
    [
      'an API service',
      apiServices,
      {
        metadata: { name: 'v1.example.com' },
        spec: {
          group: 'example.com',
          version: 'v1',
          groupPriorityMinimum: 100,
          versionPriority: 10,
          insecureSkipTLSVerify: true,
          service: { namespace: 'a', name: 'b' },
        },
      },
      [],
    ],
    ['a kind without rules of its own', slices, { spec: { driver: 'x' } }, ['spec.pool.name: Required value']],
  ])('of %s', (_what, probe, body, faults) => {
    expect(probe.createFaults(body)).toEqual(faults);
  });
});

describe('updates', () => {
  it.each<[string, KindProbe, JsonObject, (object: JsonObject) => void, string[]]>([
    [
      'a binding grants one role',
      roleBindings,
      { roleRef },
      (binding) => {
        binding.roleRef = { ...roleRef, name: 'edit', apiGroup: RBAC };
      },
      [`roleRef: Invalid value: {"kind":"ClusterRole","name":"edit","apiGroup":"${RBAC}"}: cannot change roleRef`],
    ],
    [
      'a claim keeps its class',
      claims,
      { spec: { ...claim, storageClassName: 'a' } },
      (object) => {
        (object.spec as JsonObject).storageClassName = 'b';
      },
      ['spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'],
    ],
    [
      'a claim may be bound',
      claims,
      { spec: claim },
      (object) => {
        (object.spec as JsonObject).volumeName = 'v';
      },
      [],
    ],
    [
      'a class keeps its parameters',
      classes,
      { provisioner: 'x/y' },
      (object) => {
        object.parameters = { a: 'b' };
      },
      ['parameters: Invalid value: {"a":"b"}: field is immutable'],
    ],
    [
      'a priority keeps its value',
      priorities,
      { value: 5 },
      (object) => {
        object.value = 6;
      },
      ['value: Forbidden: may not be changed in an update.'],
    ],
  ])('%s', (_what, probe, body, edit, faults) => {
    expect(probe.update(probe.create(body), edit).faults).toEqual(faults);
  });

  it('of a definition remember every version that was stored', () => {
    const old = crds.create(crd());
    expect(old.status).toMatchObject({ storedVersions: ['v1'] });
    const { object } = crds.update(old, (definition) => {
      const [v1] = (definition.spec as { versions: JsonObject[] }).versions;
      (definition.spec as JsonObject).versions = [
        { ...v1, storage: false },
        { ...v1, name: 'v2' },
      ];
    });
    expect(object.status).toMatchObject({ storedVersions: ['v1', 'v2'] });
  });
});

describe('an autoscaler in its older version', () => {
  it('loses nothing on the way there and back', () => {
    const hpa = autoscalers.create({
      spec: {
        scaleTargetRef: { kind: 'Deployment', name: 'd' },
        maxReplicas: 3,
        metrics: [
          { type: 'Resource', resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 70 } } },
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
      },
    });
    const older = autoscalerV1Conversion.fromStorage?.(hpa) ?? {};
    expect(older).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 50 } });
    const again = autoscalerV1Conversion.toStorage?.(older) ?? {};
    expect((again.spec as JsonObject).metrics).toEqual((hpa.spec as JsonObject).metrics);
    expect((again.metadata as JsonObject).annotations).toBeUndefined();
  });
});

describe('tables', () => {
  const now = Date.parse('2026-01-01T00:10:00Z');

  it.each<[KindProbe, JsonObject, JsonObject | undefined, Record<string, unknown>]>([
    [
      roleBindings,
      {
        roleRef,
        subjects: [
          { kind: 'User', name: 'a' },
          { kind: 'ServiceAccount', namespace: 'n', name: 's' },
        ],
      },
      undefined,
      { Role: 'ClusterRole/view', Users: 'a', ServiceAccounts: 'n/s' },
    ],
    [
      requests,
      { spec: { request: pem, signerName: 's/x', username: 'u' } },
      { conditions: [{ type: 'Approved', status: 'True' }], certificate: 'AA==' },
      { Requestor: 'u', RequestedDuration: '<none>', Condition: 'Approved,Issued' },
    ],
    [
      claims,
      { spec: { ...claim, volumeName: 'v', storageClassName: 'c' } },
      { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } },
      { Status: 'Bound', Volume: 'v', Capacity: '1Gi', 'Access Modes': 'RWO', StorageClass: 'c', VolumeAttributesClass: '<unset>' },
    ],
    [
      classes,
      { provisioner: 'x', metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } } },
      undefined,
      { Name: 'x (default)', ReclaimPolicy: 'Delete', VolumeBindingMode: 'Immediate', AllowVolumeExpansion: false },
    ],
    [
      ingresses,
      { spec: { tls: [{}], rules: ['a', 'b', 'c', 'd'].map((host) => ({ host })) } },
      undefined,
      { Class: '<none>', Hosts: 'a,b,c + 1 more...', Ports: '80, 443' },
    ],
    [
      budgets,
      { spec: { minAvailable: '50%' } },
      { disruptionsAllowed: 1 },
      { 'Min Available': '50%', 'Max Unavailable': 'N/A', 'Allowed Disruptions': 1 },
    ],
    [
      autoscalers,
      { spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3 } },
      { currentReplicas: 1 },
      { Reference: 'Deployment/d', Targets: 'cpu: <unknown>/80%', MinPods: '1', MaxPods: 3, Replicas: 1 },
    ],
    [
      apiServices,
      { spec: { group: 'a.b', version: 'v1' } },
      { conditions: [{ type: 'Available', status: 'False', reason: 'Gone' }] },
      { Service: 'Local', Available: 'False (Gone)' },
    ],
  ])('case %#', (probe, body, status, row) => {
    const object = probe.create(body);
    if (status !== undefined) object.status = status;
    expect(probe.row(object, now)).toMatchObject(row);
  });
});
