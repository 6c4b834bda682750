import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { cloneJson } from '../../json-value.ts';
import { KindRegistry, type ServedKind } from '../../kind-registry.ts';
import { builtinSchemas } from '../../schema/builtin-book.ts';
import { builtinKinds } from '../builtin.ts';
import { decodeObject } from '../decode-object.ts';
import { validateChangedObject, validateChangedStatus, validateNewObject } from '../validate-object.ts';
import { validateEphemeralContainersUpdate, validatePodResize } from './pod-update-validation.ts';

function podKind(): ServedKind {
  const kind = new KindRegistry(builtinKinds).resource('', 'v1', 'pods');
  if (kind === undefined) throw new Error('no pods');
  return kind;
}

const kind = podKind();
const strategy = kind.definition.strategy;

function pod(spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject {
  const containers = [{ name: 'a', image: 'x' }];
  const value = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', ...metadata },
    spec: { containers, ...spec },
  };
  return decodeObject(kind, value, builtinSchemas).object;
}

/** A Pod whose one container has these fields besides name and image. */
function withContainer(fields: JsonObject, spec: JsonObject = {}): JsonObject {
  return pod({ containers: [{ name: 'a', image: 'x', ...fields }], ...spec });
}

function faults(object: JsonObject): string[] {
  strategy.prepareForCreate?.(object);
  return validateNewObject(kind, object).map(({ field, message }) => `${field}: ${message}`);
}

describe('a new Pod', () => {
  it('gets the defaults that every cluster shows', () => {
    const made = pod({
      containers: [
        {
          name: 'a',
          image: 'nginx',
          ports: [{ containerPort: 80 }],
          livenessProbe: { httpGet: { port: 80 } },
          resources: { limits: { cpu: '1' } },
          env: [{ name: 'N', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
        },
      ],
      volumes: [{ name: 'e' }, { name: 's', secret: { secretName: 'x' } }, { name: 'h', hostPath: { path: '/' } }],
      serviceAccountName: 'default',
    });
    expect(made.spec).toEqual({
      containers: [
        {
          name: 'a',
          image: 'nginx',
          imagePullPolicy: 'Always',
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          livenessProbe: {
            httpGet: { port: 80, path: '/', scheme: 'HTTP' },
            timeoutSeconds: 1,
            periodSeconds: 10,
            successThreshold: 1,
            failureThreshold: 3,
          },
          resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
          env: [{ name: 'N', valueFrom: { fieldRef: { fieldPath: 'metadata.name', apiVersion: 'v1' } } }],
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      volumes: [
        { name: 'e', emptyDir: {} },
        { name: 's', secret: { secretName: 'x', defaultMode: 420 } },
        { name: 'h', hostPath: { path: '/', type: '' } },
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      securityContext: {},
      schedulerName: 'default-scheduler',
      enableServiceLinks: true,
    });
  });

  it.each([
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1', 'IfNotPresent'],
    ['registry:5000/nginx', 'Always'],
    [`nginx@sha256:${'0'.repeat(64)}`, 'IfNotPresent'],
  ])('pulls %s %s', (image, policy) => {
    expect(withContainer({ image }).spec).toMatchObject({ containers: [{ imagePullPolicy: policy }] });
  });

  it('says from the start that a gate keeps it from being scheduled', () => {
    const made = pod({ schedulingGates: [{ name: 'example.com/quota' }] });
    strategy.prepareForCreate?.(made);
    expect(made.status).toMatchObject({ conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] });
  });

  it('starts Pending, in the class that its resources give it', () => {
    const limits = { cpu: '1', memory: '1Gi' };
    for (const [fields, qosClass] of [
      [{}, 'BestEffort'],
      [{ resources: { requests: { cpu: '1' } } }, 'Burstable'],
      [{ resources: { limits } }, 'Guaranteed'],
      [{ resources: { limits, requests: { cpu: '500m' } } }, 'Burstable'],
    ] as const) {
      const made = withContainer(cloneJson(fields as JsonObject));
      made.status = { phase: 'Running' };
      strategy.prepareForCreate?.(made);
      expect(made.status).toEqual({ phase: 'Pending', qosClass });
      expect(made.metadata).toMatchObject({ generation: 1 });
    }
  });

  it.each<[string, JsonObject, string[]]>([
    ['nothing wrong', pod(), []],
    ['no containers', pod({ containers: [] }), ['spec.containers: Required value']],
    ['no image', withContainer({ image: '' }), ['spec.containers[0].image: Required value']],
    [
      'a padded image',
      withContainer({ image: ' x' }),
      ['spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace'],
    ],
    [
      'a name twice',
      pod({
        containers: [
          { name: 'a', image: 'x' },
          { name: 'a', image: 'x' },
        ],
      }),
      ['spec.containers[1].name: Duplicate value: "a"'],
    ],
    [
      'a wrong restart policy',
      pod({ restartPolicy: 'Sometimes' }),
      ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      'a mount of nothing',
      withContainer({ volumeMounts: [{ name: 'v', mountPath: '/x' }] }),
      ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
    ],
    [
      'two mounts at one place',
      withContainer(
        {
          volumeMounts: [
            { name: 'v', mountPath: '/x' },
            { name: 'v', mountPath: '/x' },
          ],
        },
        { volumes: [{ name: 'v' }] },
      ),
      ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique'],
    ],
    [
      'requests above limits',
      withContainer({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
      ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ],
    [
      'a negative request',
      withContainer({ resources: { requests: { memory: '-1' } } }),
      ['spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0'],
    ],
    [
      'an unknown resource',
      withContainer({ resources: { requests: { gold: '1' } } }),
      [
        'spec.containers[0].resources.requests[gold]: Invalid value: "gold": must be a standard resource for containers',
        'spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources',
      ],
    ],
    ['a port without a number', withContainer({ ports: [{}] }), ['spec.containers[0].ports[0].containerPort: Required value']],
    [
      'a port out of range',
      withContainer({ ports: [{ containerPort: 70000 }] }),
      ['spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    [
      'a host port twice',
      pod({ containers: ['a', 'b'].map((name) => ({ name, image: 'x', ports: [{ containerPort: 80, hostPort: 80 }] })) }),
      ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"'],
    ],
    [
      'a probe without a way',
      withContainer({ livenessProbe: {} }),
      ['spec.containers[0].livenessProbe: Required value: must specify a handler type'],
    ],
    [
      'a probe with two ways',
      withContainer({ readinessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 1 } } }),
      ['spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type'],
    ],
    [
      'a liveness probe that must succeed twice',
      withContainer({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
      ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
    ],
    [
      'a bad variable name',
      withContainer({ env: [{ name: 'a=b' }] }),
      [
        'spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
      ],
    ],
    [
      'a variable with value and source',
      withContainer({ env: [{ name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
      ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ],
    [
      'a field that variables do not offer',
      withContainer({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.hostname' } } }] }),
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.hostname": error converting fieldPath: field label not supported: spec.hostname',
      ],
    ],
    [
      'a volume of two kinds',
      pod({ volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/' } }] }),
      ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    ['a volume twice', pod({ volumes: [{ name: 'v' }, { name: 'v' }] }), ['spec.volumes[1].name: Duplicate value: "v"']],
    [
      'a projected path upward',
      pod({ volumes: [{ name: 'v', configMap: { name: 'c', items: [{ key: 'k', path: '../x' }] } }] }),
      ['spec.volumes[0].configMap.items[0].path: Invalid value: "../x": must not contain \'..\''],
    ],
    [
      'probes of an init container',
      pod({ initContainers: [{ name: 'i', image: 'x', livenessProbe: { tcpSocket: { port: 1 } } }] }),
      ['spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always'],
    ],
    [
      'probes of a sidecar',
      pod({ initContainers: [{ name: 'i', image: 'x', restartPolicy: 'Always', livenessProbe: { tcpSocket: { port: 1 } } }] }),
      [],
    ],
    [
      'a host network port that differs',
      withContainer({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }),
      ['spec.containers[0].ports[0].containerPort: Invalid value: 80: must match `hostPort` when `hostNetwork` is true'],
    ],
    [
      'a privileged container that may not escalate',
      withContainer({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
      [
        'spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
      ],
    ],
    [
      'a toleration of everything by mistake',
      pod({ tolerations: [{ effect: 'NoSchedule' }] }),
      [
        'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
    [
      'a spread without skew',
      pod({ topologySpreadConstraints: [{ topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', maxSkew: 0 }] }),
      ['spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero'],
    ],
    ['no resolver', pod({ dnsPolicy: 'None' }), ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None']],
    [
      'a search path too much',
      pod({ dnsConfig: { searches: ['.', '_sip._tcp.abc_d.example.com.', ...Array(31).fill('a')] } }),
      [expect.stringMatching(/^spec.dnsConfig.searches: Invalid value: .*: must not have more than 32 search paths$/)],
    ],
    [
      'a short token',
      pod({ volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 60 } }] } }] }),
      [
        'spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
      ],
    ],
  ])('with %s', (_what, object, expected) => {
    expect(faults(object)).toEqual(expected);
  });

  it('is told what its name must look like', () => {
    expect(faults(pod({}, { name: 'A' }))[0]).toMatch(/^metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of/);
    expect(faults(pod({}, { name: '', generateName: 'web-' }))).toEqual([
      'metadata.name: Required value: name or generateName is required',
    ]);
  });
});

describe('a Pod that exists', () => {
  const old = withContainer(
    {},
    { activeDeadlineSeconds: 100, tolerations: [{ key: 'k', operator: 'Exists' }], initContainers: [{ name: 'i', image: 'x' }] },
  );
  (old.metadata as JsonObject).resourceVersion = '1';
  strategy.prepareForCreate?.(old);

  function change(edit: (spec: JsonObject, object: JsonObject) => void): { faults: string[]; object: JsonObject } {
    const object = cloneJson(old);
    edit(object.spec as JsonObject, object);
    strategy.prepareForUpdate?.(object, old);
    return { object, faults: validateChangedObject(kind, object, old).map(({ field, message }) => `${field}: ${message}`) };
  }

  it('may change images, its deadline downward, and add tolerations', () => {
    const { faults, object } = change((spec) => {
      (spec.containers as JsonObject[])[0] = { ...(spec.containers as JsonObject[])[0], image: 'y' };
      spec.activeDeadlineSeconds = 50;
      spec.tolerations = [...(spec.tolerations as JsonObject[]), { key: 'm', operator: 'Exists' }];
    });
    expect(faults).toEqual([]);
    expect(object.metadata).toMatchObject({ generation: 2 });
  });

  it('may change labels, without a new generation', () => {
    const { faults, object } = change((_spec, changed) => {
      (changed.metadata as JsonObject).labels = { a: 'b' };
    });
    expect(faults).toEqual([]);
    expect(object.metadata).toMatchObject({ generation: 1 });
  });

  it('may change nothing else', () => {
    const { faults } = change((spec) => {
      spec.hostname = 'x';
    });
    expect(faults).toEqual([
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n  spec.hostname: absent -> "x"\n',
    ]);
  });

  it('keeps its containers', () => {
    const { faults } = change((spec) => {
      spec.containers = [
        ...(spec.containers as JsonObject[]),
        { name: 'b', image: 'x', imagePullPolicy: 'Always', terminationMessagePolicy: 'File' },
      ];
    });
    expect(faults).toContain('spec.containers: Forbidden: pod updates may not add or remove containers');
  });

  it('keeps its status through the main door, and its spec through the other', () => {
    const { object } = change((_spec, changed) => {
      changed.status = { phase: 'Running' };
    });
    expect(object.status).toMatchObject({ phase: 'Pending' });
    const reported = cloneJson(old);
    reported.spec = {};
    reported.status = { phase: 'Running' };
    strategy.prepareForStatusUpdate?.(reported, old);
    expect(reported.spec).toEqual(old.spec);
    expect(reported.status).toEqual({ phase: 'Running', qosClass: 'BestEffort' });
  });

  it('does not rise from a container that ended for good', () => {
    const ended = pod({ restartPolicy: 'Never' }, { resourceVersion: '1' });
    ended.status = { containerStatuses: [{ name: 'a', state: { terminated: { exitCode: 0 } } }] };
    const risen = { ...cloneJson(ended), status: { containerStatuses: [{ name: 'a', state: { running: {} } }] } };
    expect(validateChangedStatus(kind, risen, ended).map(({ field, message }) => `${field}: ${message}`)).toEqual([
      'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state',
    ]);
  });

  it('keeps its ephemeral containers, and resizes only cpu and memory', () => {
    const debugged = cloneJson(old);
    (debugged.spec as JsonObject).ephemeralContainers = [{ name: 'd', image: 'x' }];
    expect(validateEphemeralContainersUpdate(debugged, old)).toEqual([]);
    expect(validateEphemeralContainersUpdate(old, debugged)).toHaveLength(1);
    const resized = withContainer({ resources: { requests: { cpu: '1' } } });
    const bigger = withContainer({ resources: { requests: { cpu: '2' } } });
    const other = withContainer({ resources: { requests: { 'ephemeral-storage': '1' } } });
    expect(validatePodResize(bigger, resized)).toEqual([]);
    expect(validatePodResize(other, resized)).toHaveLength(1);
  });
});

describe('deleting a Pod', () => {
  it.each([
    [{ nodeName: 'n' }, {}, undefined, 30],
    [{ nodeName: 'n' }, {}, 5, 5],
    [{ nodeName: 'n' }, {}, -1, 1],
    [{}, {}, undefined, 0],
    [{ nodeName: 'n' }, { phase: 'Failed' }, undefined, 0],
  ])('%j %j asked for %s waits %d s', (spec, status, requested, seconds) => {
    const object = { ...pod(spec), status };
    expect(strategy.gracePeriodSeconds?.(object, requested)).toBe(seconds);
  });
});
