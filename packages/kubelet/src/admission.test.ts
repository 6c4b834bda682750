import type { Node, Pod } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { admit } from './admission.ts';

const meta = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const node: Node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { ...meta, name: 'n1', labels: { zone: 'a' } },
  spec: {},
  status: { allocatable: { cpu: '1', memory: '1Gi', pods: '3' } },
};

function pod(spec: Partial<NonNullable<Pod['spec']>> = {}, labels: Record<string, string> = {}): Pod {
  const metadata = { ...meta, namespace: 'default', name: 'web', labels };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'c' }], ...spec }, status: {} };
}

const withPort = pod({ containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80 }] }] });

describe('a node', () => {
  it.each<{ what: string; pod: Pod; others?: readonly Pod[]; reason: string | undefined }>([
    { what: 'what fits', pod: pod({ os: { name: 'linux' } }), reason: undefined },
    { what: 'another operating system', pod: pod({ os: { name: 'windows' } }), reason: 'PodOSNotSupported' },
    { what: 'a label of another', pod: pod({}, { 'kubernetes.io/os': 'windows' }), reason: 'PodOSSelectorNodeLabelDoesNotMatch' },
    { what: 'a selector of other nodes', pod: pod({ nodeSelector: { zone: 'b' } }), reason: 'NodeAffinity' },
    {
      what: 'a setting of the kernel that is not safe',
      pod: pod({ securityContext: { sysctls: [{ name: 'kernel.x', value: '1' }] } }),
      reason: 'SysctlForbidden',
    },
    { what: 'a taken port', pod: withPort, others: [withPort], reason: 'NodePorts' },
    { what: 'too many', pod: pod(), others: [pod(), pod(), pod()], reason: 'OutOfpods' },
    { what: 'too much', pod: pod({ containers: [{ name: 'c', resources: { requests: { cpu: '2' } } }] }), reason: 'OutOfcpu' },
  ])('looks at Pods itself: $what', ({ pod: asked, others = [], reason }) => {
    expect(admit({ pod: asked, others, node, allowedSysctls: new Set() })?.reason).toBe(reason);
  });
});
