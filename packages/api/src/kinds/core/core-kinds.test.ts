import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindProbe } from '../../testing/kind-probe.ts';
import { eventFromCore, eventToCore } from './events.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');
const BORN = { creationTimestamp: '2026-01-01T00:00:00Z' };
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('Services', () => {
  const services = new KindProbe('', 'services');
  const web: JsonObject = { selector: { app: 'web' }, ports: [{ port: 80 }] };

  it('get their defaults', () => {
    expect(services.create({ spec: web })).toMatchObject({
      spec: {
        type: 'ClusterIP',
        sessionAffinity: 'None',
        internalTrafficPolicy: 'Cluster',
        ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }],
      },
      status: {},
    });
    const balanced = services.create({ spec: { ...web, type: 'LoadBalancer', sessionAffinity: 'ClientIP' } });
    expect(balanced.spec).toMatchObject({
      externalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
    });
  });

  it.each<[string, JsonObject, string[]]>([
    ['nothing wrong', web, []],
    ['no ports', {}, ['spec.ports: Required value']],
    ['no ports but headless', { clusterIP: 'None' }, []],
    [
      'two ports without names',
      { ports: [{ port: 80 }, { port: 81 }] },
      ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
    ],
    [
      'a name twice',
      {
        ports: [
          { name: 'a', port: 80 },
          { name: 'a', port: 81 },
        ],
      },
      ['spec.ports[1].name: Duplicate value: "a"'],
    ],
    [
      'a port twice',
      {
        ports: [
          { name: 'a', port: 80 },
          { name: 'b', port: 80 },
        ],
      },
      ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'],
    ],
    ['port 0', { ports: [{ port: 0, targetPort: 80 }] }, ['spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive']],
    [
      'a node port where there is none',
      { ports: [{ port: 80, nodePort: 30000 }] },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    ['an outer name without one', { type: 'ExternalName' }, ['spec.externalName: Required value']],
    ['an outer name', { type: 'ExternalName', externalName: 'example.com.' }, []],
    [
      'an unknown type',
      { ...web, type: 'Magic' },
      ['spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'],
    ],
    [
      'a headless node port',
      { ...web, type: 'NodePort', clusterIP: 'None' },
      ['spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'],
    ],
    [
      'an outside policy inside',
      { ...web, externalTrafficPolicy: 'Local' },
      ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
    ],
    [
      'a loopback address outside',
      { ...web, externalIPs: ['127.0.0.1'] },
      ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ],
  ])('with %s', (_what, spec, faults) => {
    expect(services.createFaults({ spec })).toEqual(faults);
  });

  it('keep what was allocated, and may not choose again', () => {
    const old = services.create({ spec: { ...web, type: 'NodePort', clusterIP: '10.43.0.5', ports: [{ port: 80, nodePort: 30001 }] } });
    const replaced = services.update(old, (service) => {
      service.spec = { ...web, type: 'NodePort', ports: [{ port: 80, protocol: 'TCP' }] };
    });
    expect(replaced.faults).toEqual([]);
    expect(replaced.object.spec).toMatchObject({ clusterIP: '10.43.0.5', clusterIPs: ['10.43.0.5'], ports: [{ nodePort: 30001 }] });
    const moved = services.update(old, (service) => {
      (service.spec as JsonObject).clusterIP = '10.43.0.6';
    });
    expect(moved.faults).toEqual(['spec.clusterIPs[0]: Invalid value: ["10.43.0.6"]: may not change once set']);
    const narrowed = services.update(old, (service) => {
      (service.spec as JsonObject).type = 'ClusterIP';
    });
    expect(narrowed.faults).toEqual([]);
    expect(narrowed.object.spec).toMatchObject({ ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }] });
    expect(JSON.stringify(narrowed.object.spec)).not.toContain('30001');
  });

  it('print as kubectl shows them', () => {
    const service = services.create({
      metadata: BORN,
      spec: { ...web, type: 'NodePort', clusterIP: '10.43.0.5', ports: [{ port: 80, nodePort: 30001 }] },
    });
    expect(services.row(service, NOW)).toEqual({
      Name: 'x',
      Type: 'NodePort',
      'Cluster-IP': '10.43.0.5',
      'External-IP': '<none>',
      'Port(s)': '80:30001/TCP',
      Age: '10m',
      Selector: 'app=web',
    });
    const waiting = services.create({ spec: { ...web, type: 'LoadBalancer' } });
    expect(services.row(waiting, NOW)['External-IP']).toBe('<pending>');
  });
});

describe('Namespaces', () => {
  const namespaces = new KindProbe('', 'namespaces');

  it('carry their name as a label, and end through their finalizer', () => {
    expect(namespaces.create({ metadata: { name: 'team' } })).toMatchObject({
      metadata: { labels: { 'kubernetes.io/metadata.name': 'team' } },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    });
  });

  it('keep the finalizer through the main door', () => {
    const old = namespaces.create({});
    const { object } = namespaces.update(old, (namespace) => {
      namespace.spec = { finalizers: [] };
      namespace.status = { phase: 'Terminating' };
    });
    expect(object).toMatchObject({ spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } });
  });

  it('have names that DNS knows', () => {
    expect(namespaces.createFaults({ metadata: { name: 'a.b' } })).toEqual(['metadata.name: Invalid value: "a.b": must not contain dots']);
  });
});

describe('Nodes', () => {
  const nodes = new KindProbe('', 'nodes');

  it('keep their Pod network', () => {
    const old = nodes.create({ spec: { podCIDR: '10.42.0.0/24', podCIDRs: ['10.42.0.0/24'] } });
    const { faults } = nodes.update(old, (node) => {
      node.spec = { podCIDR: '10.42.1.0/24', podCIDRs: ['10.42.1.0/24'] };
    });
    expect(faults).toEqual(['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']);
  });

  it('refuse taints that say one thing twice', () => {
    const taint = { key: 'k', effect: 'NoSchedule' };
    expect(nodes.createFaults({ spec: { taints: [taint, taint] } })).toEqual([
      'spec.taints[1]: Duplicate value: {"key":"k","effect":"NoSchedule"}: taints must be unique by key and effect pair',
    ]);
  });

  it('print their roles and state', () => {
    const node = nodes.create({
      metadata: { ...BORN, labels: { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' } },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
        nodeInfo: { kubeletVersion: 'v1.36.0', osImage: 'Debian' },
      },
    });
    expect(nodes.row(node, NOW)).toMatchObject({
      Status: 'Ready,SchedulingDisabled',
      Roles: 'control-plane,worker',
      Age: '10m',
      Version: 'v1.36.0',
      'Internal-IP': '192.0.2.1',
      'External-IP': '<none>',
      'OS-Image': 'Debian',
      'Kernel-Version': '<unknown>',
    });
  });
});

describe('ConfigMaps and Secrets', () => {
  const configMaps = new KindProbe('', 'configmaps');
  const secrets = new KindProbe('', 'secrets');

  it.each<[KindProbe, JsonObject, string[]]>([
    [configMaps, { data: { 'a.b': 'x' }, binaryData: { c: base64('x') } }, []],
    [
      configMaps,
      { data: { a: 'x' }, binaryData: { a: base64('x') } },
      ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    ],
    [configMaps, { data: { a: 'x'.repeat(2 ** 20 + 1) } }, [': Too long: may not be more than 1048576 bytes']],
    [secrets, { data: { a: base64('x') } }, []],
    [secrets, { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }, ['data[tls.key]: Required value']],
    [
      secrets,
      { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64('{') } },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be JSON'],
    ],
    [
      secrets,
      { type: 'kubernetes.io/service-account-token' },
      ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    ],
  ])('case %#', (probe, body, faults) => {
    expect(probe.createFaults(body)).toEqual(faults);
  });

  it('refuse keys that are no file names', () => {
    expect(configMaps.createFaults({ data: { 'a/b': 'x' } })[0]).toMatch(
      /^data\[a\/b\]: Invalid value: "a\/b": a valid config key must consist of/,
    );
  });

  it('take plain text for data', () => {
    const secret = secrets.create({ data: { a: base64('old') }, stringData: { a: 'new', b: 'ü' } });
    expect(secret).toMatchObject({ type: 'Opaque', data: { a: base64('new'), b: base64('ü') } });
    expect(secret).not.toHaveProperty('stringData');
  });

  it('cannot change once sealed', () => {
    const old = configMaps.create({ immutable: true, data: { a: 'x' } });
    expect(configMaps.update(old, (map) => void delete map.immutable).faults).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
    ]);
    const changed = configMaps.update(old, (map) => {
      map.data = { a: 'y' };
    });
    expect(changed.faults).toEqual(['data: Forbidden: field is immutable when `immutable` is set']);
    const secret = secrets.create({});
    const retyped = secrets.update(secret, (object) => {
      object.type = 'other';
    });
    expect(retyped.faults).toEqual(['type: Invalid value: "other": field is immutable']);
  });
});

describe('Endpoints and EndpointSlices', () => {
  const endpoints = new KindProbe('', 'endpoints');
  const slices = new KindProbe('discovery.k8s.io', 'endpointslices');

  it.each<[KindProbe, JsonObject, string[]]>([
    [endpoints, { subsets: [{ addresses: [{ ip: '10.42.0.1' }], ports: [{ port: 80 }] }] }, []],
    [endpoints, { subsets: [{}] }, ['subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`']],
    [
      endpoints,
      { subsets: [{ addresses: [{ ip: '127.0.0.1' }] }] },
      ['subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ],
    [slices, { addressType: 'IPv4', endpoints: [{ addresses: ['10.42.0.1'] }], ports: [{ port: 80 }] }, []],
    [slices, { endpoints: [] }, ['addressType: Required value']],
    [
      slices,
      { addressType: 'IPv4', endpoints: [{ addresses: ['::1'] }, { addresses: [] }] },
      [
        'endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
        'endpoints[1].addresses: Required value: must contain at least 1 address',
      ],
    ],
    [slices, { addressType: 'IPv4', endpoints: [], ports: [{ name: 'a' }, { name: 'a' }] }, ['ports[1].name: Duplicate value: "a"']],
  ])('case %#', (probe, body, faults) => {
    expect(probe.createFaults(body)).toEqual(faults);
  });

  it('print what they lead to', () => {
    const slice = slices.create({
      addressType: 'IPv4',
      endpoints: [1, 2, 3, 4].map((host) => ({ addresses: [`10.42.0.${host}`] })),
      ports: [{ port: 80 }],
    });
    expect(slices.row(slice, NOW)).toMatchObject({ Ports: '80', Endpoints: '10.42.0.1,10.42.0.2,10.42.0.3 + 1 more...' });
    expect(endpoints.row(endpoints.create({ subsets: [] }), NOW)).toMatchObject({ Endpoints: '<none>' });
  });
});

describe('Events', () => {
  const events = new KindProbe('', 'events');
  const eventsV1 = new KindProbe('events.k8s.io', 'events');
  const about = { kind: 'Pod', namespace: 'default', name: 'p' };

  it('live beside what they are about', () => {
    expect(events.createFaults({ involvedObject: about })).toEqual([]);
    expect(events.createFaults({ involvedObject: { ...about, namespace: 'other' } })).toEqual([
      'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ]);
    expect(events.createFaults({ involvedObject: { kind: 'Node', name: 'n' } })).toEqual([]);
  });

  it('of the new sort say who reports what', () => {
    expect(eventsV1.createFaults({ regarding: about, eventTime: '2026-01-01T00:00:00.000000Z' })).toEqual([
      'reportingController: Required value',
      'reportingInstance: Required value',
      'action: Required value',
      'reason: Required value',
    ]);
  });

  it('are one object in two forms', () => {
    const event = events.create({
      involvedObject: about,
      reason: 'Pulled',
      message: 'done',
      count: 3,
      source: { component: 'kubelet', host: 'n' },
    });
    const other = eventFromCore(event);
    expect(other).toMatchObject({ apiVersion: 'events.k8s.io/v1', regarding: about, note: 'done', deprecatedCount: 3 });
    expect(eventToCore(other)).toEqual(event);
    expect(eventsV1.kind.definition.strategy.selectableFields?.(event)).toMatchObject({ 'regarding.name': 'p', reason: 'Pulled' });
  });

  it('print when they were last seen', () => {
    const event = events.create({
      involvedObject: { ...about, fieldPath: 'spec.containers{a}' },
      type: 'Normal',
      reason: 'Pulled',
      message: ' done ',
      source: { component: 'kubelet', host: 'n' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:09:00Z',
      count: 3,
    });
    expect(events.row(event, NOW)).toMatchObject({
      'Last Seen': '60s',
      Object: 'pod/p',
      Message: 'done',
      Source: 'kubelet, n',
      'First Seen': '10m',
      Count: 3,
    });
  });
});

describe('Leases', () => {
  const leases = new KindProbe('coordination.k8s.io', 'leases');

  it('have a time that passes, and perhaps no holder', () => {
    expect(leases.createFaults({ spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } })).toEqual([]);
    expect(leases.createFaults({ spec: { holderIdentity: '', leaseDurationSeconds: 0, leaseTransitions: -1 } })).toEqual([
      'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
      'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
    ]);
  });
});
