import { forbiddenRequest, type KubeObject, type StatusError } from '@dure/api';
import { nodeOf } from '../authorization/node-authorizer.ts';
import { nodeNameOf } from '../authorization/pod-references.ts';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { asObject, textIn } from './pod-shape.ts';

const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const PROTECTED_LABELS = 'node-restriction.kubernetes.io';
const LEASE_NAMESPACE = 'kube-node-lease';
/** Labels of the kubernetes.io and k8s.io domains that a node may say of itself. */
const OWN_LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'node.kubernetes.io/instance-type',
  'beta.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
]);
const OWN_LABEL_DOMAINS = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

/** Holds a node to its own Node, Lease, Pods and their tokens. @see https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction */
export function nodeRestriction(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    async validate(request) {
      const node = nodeOf(request.user);
      if (node === undefined) return;
      const refuse = (why: string): StatusError =>
        forbiddenRequest({ group: request.group, resource: request.resource }, request.name, why);
      switch (`${request.group}/${request.resource}`) {
        case '/pods':
          return judgePod(request, node, reader, refuse);
        case '/nodes':
          return judgeNode(request, node, refuse);
        case '/serviceaccounts':
          return judgeToken(request, node, reader, refuse);
        case 'coordination.k8s.io/leases':
          if (request.namespace !== LEASE_NAMESPACE) throw refuse(`can only access leases in the "${LEASE_NAMESPACE}" system namespace`);
          if (nameIn(request) !== node) throw refuse(`can only access node lease with the same name as the requesting node`);
          return;
        case 'storage.k8s.io/csinodes':
          if (nameIn(request) !== node) throw refuse('can only access CSINode with the same name as the requesting node');
          return;
        default:
      }
    },
  };
}

type Refuse = (why: string) => StatusError;

async function judgePod(request: AdmissionRequest, node: string, reader: ObjectReader, refuse: Refuse): Promise<void> {
  const existing = request.oldObject ?? (await reader.get('', 'pods', request.namespace, request.name));
  switch (request.subresource) {
    case '':
      if (request.operation === 'CREATE') return judgeMirrorPod(request, node, refuse);
      if (request.operation === 'DELETE' && existing !== undefined && nodeNameOf(existing) !== node)
        throw refuse(`node "${node}" can only delete pods with spec.nodeName set to itself`);
      return;
    case 'status':
    case 'eviction':
      if (existing !== undefined && nodeNameOf(existing) !== node) {
        throw refuse(
          `node "${node}" can only ${request.subresource === 'status' ? 'update pod status for' : 'evict'} pods with spec.nodeName set to itself`,
        );
      }
      return;
    default:
      throw refuse(`unexpected subresource ${request.subresource}`);
  }
}

function judgeMirrorPod({ object }: AdmissionRequest, node: string, refuse: Refuse): void {
  const annotations = asObject(asObject(object?.metadata)?.annotations);
  if (annotations?.[MIRROR_ANNOTATION] === undefined)
    throw refuse(`pod does not have "${MIRROR_ANNOTATION}" annotation, node "${node}" can only create mirror pods`);
  const spec = asObject(object?.spec);
  if (spec?.nodeName !== node) throw refuse(`node "${node}" can only create pods with spec.nodeName set to itself`);
  if (textIn(spec.serviceAccountName) !== '') throw refuse(`node "${node}" can not create pods that reference a service account`);
}

function judgeNode(request: AdmissionRequest, node: string, refuse: Refuse): void {
  if (nameIn(request) !== node) throw refuse(`node "${node}" is not allowed to modify node "${nameIn(request)}"`);
  if (request.operation === 'DELETE' || request.subresource !== '') return;
  const labels = labelsOf(request.object);
  const before = request.operation === 'UPDATE' ? labelsOf(request.oldObject) : {};
  const changed = [...new Set([...Object.keys(labels), ...Object.keys(before)])].filter((key) => labels[key] !== before[key]);
  const forbidden = changed.filter((key) => !isOwnLabel(key)).sort();
  if (forbidden.length > 0) throw refuse(`is not allowed to modify labels: ${forbidden.join(', ')}`);
  if (request.operation !== 'UPDATE') return;
  const taints = (of: unknown): string => JSON.stringify(asObject(asObject(of)?.spec)?.taints ?? []);
  if (taints(request.object) !== taints(request.oldObject)) throw refuse(`node "${node}" is not allowed to modify taints`);
}

async function judgeToken(request: AdmissionRequest, node: string, reader: ObjectReader, refuse: Refuse): Promise<void> {
  if (request.subresource !== 'token') return;
  const reference = asObject(asObject(request.object?.spec)?.boundObjectRef);
  if (reference === undefined || reference.kind !== 'Pod') throw refuse(`node requested token not bound to a pod`);
  const pod = await reader.get('', 'pods', request.namespace, textIn(reference.name));
  if (pod === undefined) throw refuse(`node requested token bound to a pod that does not exist`);
  if (textIn(reference.uid) !== pod.metadata.uid)
    throw refuse(`the UID in the bound object reference (${textIn(reference.uid)}) does not match the UID in record`);
  if (nodeNameOf(pod) !== node) throw refuse(`node requested token bound to a pod scheduled on a different node`);
}

function isOwnLabel(key: string): boolean {
  const domain = key.includes('/') ? key.slice(0, key.indexOf('/')) : '';
  const within = (parent: string): boolean => domain === parent || domain.endsWith(`.${parent}`);
  if (within(PROTECTED_LABELS)) return false;
  if (!within('kubernetes.io') && !within('k8s.io')) return true;
  return OWN_LABELS.has(key) || OWN_LABEL_DOMAINS.some(within);
}

function labelsOf(object: unknown): Readonly<Record<string, unknown>> {
  return asObject(asObject((object as KubeObject | undefined)?.metadata)?.labels) ?? {};
}

/** Creates name their object in the body. */
function nameIn({ name, object }: AdmissionRequest): string {
  return name !== '' ? name : textIn(asObject(object?.metadata)?.name);
}
