import type { AuthorizationQuery, AuthorizationResult, Authorizer, ResourceQuery, RuleSummary } from '../contract/authorizer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { UserInfo } from '../contract/user.ts';
import { nodeNameOf, podReferences } from './pod-references.ts';
import { type PolicyRule, ruleAllows, summarizeRules } from './rule-matching.ts';

const NODE_PREFIX = 'system:node:';
const NODES_GROUP = 'system:nodes';

/** What every node may do without regard to its Pods. Which Node, Pod or Lease it may write is NodeRestriction's matter, at admission. */
const NODE_RULES: readonly PolicyRule[] = [
  { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
  { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews', 'localsubjectaccessreviews'] },
  { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['services', 'nodes', 'pods', 'namespaces', 'endpoints'] },
  // Beyond upstream's role: the service proxy of a node shares the node's identity.
  { verbs: ['get', 'list', 'watch'], apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] },
  { verbs: ['create', 'update', 'patch', 'delete'], apiGroups: [''], resources: ['nodes'] },
  { verbs: ['update', 'patch'], apiGroups: [''], resources: ['nodes/status'] },
  { verbs: ['create', 'delete'], apiGroups: [''], resources: ['pods'] },
  { verbs: ['update', 'patch'], apiGroups: [''], resources: ['pods/status'] },
  { verbs: ['create'], apiGroups: [''], resources: ['pods/eviction'] },
  { verbs: ['create', 'update', 'patch'], apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
  { verbs: ['create', 'get', 'list', 'watch'], apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'] },
  { verbs: ['create', 'get', 'update', 'patch', 'delete'], apiGroups: ['coordination.k8s.io'], resources: ['leases'] },
  { verbs: ['get', 'list', 'watch'], apiGroups: ['node.k8s.io'], resources: ['runtimeclasses'] },
  { verbs: ['get', 'list', 'watch'], apiGroups: ['storage.k8s.io'], resources: ['csidrivers'] },
  { verbs: ['get', 'create', 'update', 'patch', 'delete'], apiGroups: ['storage.k8s.io'], resources: ['csinodes'] },
];

/** Reading these is allowed object by object, to the nodes that run a Pod which refers to it. */
const REFERENCED = { secrets: 'secrets', configmaps: 'configMaps', persistentvolumeclaims: 'persistentVolumeClaims' } as const;
const READ_VERBS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

/**
 * Lets a node read what its Pods refer to, and nothing of other nodes' Pods: a stolen node certificate opens no other node's Secrets.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
export class NodeAuthorizer implements Authorizer {
  readonly #reader: ObjectReader;

  constructor(reader: ObjectReader) {
    this.#reader = reader;
  }

  async authorize(query: AuthorizationQuery): Promise<AuthorizationResult> {
    const nodeName = nodeOf(query.user);
    if (nodeName === undefined) return { decision: 'no-opinion' };
    if (NODE_RULES.some((rule) => ruleAllows(rule, query.verb, query))) return { decision: 'allow' };
    if (query.kind === 'path' || query.group !== '') return { decision: 'no-opinion' };
    if (await this.#isReferenced(nodeName, query)) return { decision: 'allow' };
    const what = `${query.resource}${query.subresource === '' ? '' : `/${query.subresource}`}`;
    return { decision: 'no-opinion', reason: `no relationship found between node '${nodeName}' and this object (${what} "${query.name}")` };
  }

  async rulesFor(user: UserInfo): Promise<RuleSummary> {
    if (nodeOf(user) === undefined) return { resourceRules: [], nonResourceRules: [], incomplete: false };
    return { ...summarizeRules(NODE_RULES), incomplete: true, evaluationError: 'what a node may read depends on the Pods it runs' };
  }

  async #isReferenced(
    nodeName: string,
    { verb, resource, subresource, namespace, name }: ResourceQuery & { readonly verb: string },
  ): Promise<boolean> {
    if (name === '' || namespace === '') return false;
    const podsHere = () => this.#reader.list('', 'pods', { namespace, where: (pod) => nodeNameOf(pod) === nodeName });
    if (resource === 'serviceaccounts' && (subresource === 'token' ? verb === 'create' : subresource === '' && verb === 'get')) {
      return (await podsHere()).some((pod) => podReferences(pod).serviceAccount === name);
    }
    const field = REFERENCED[resource as keyof typeof REFERENCED];
    if (field === undefined || subresource !== '' || !READ_VERBS.has(verb)) return false;
    return (await podsHere()).some((pod) => podReferences(pod)[field].has(name));
  }
}

/** The node's name, for users that are nodes. */
export function nodeOf(user: UserInfo): string | undefined {
  if (!user.name.startsWith(NODE_PREFIX) || !user.groups.includes(NODES_GROUP)) return undefined;
  return user.name.slice(NODE_PREFIX.length);
}
