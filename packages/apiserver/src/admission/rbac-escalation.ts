import { forbiddenRequest } from '@dure/api';
import type { RbacAuthorizer } from '../authorization/rbac-authorizer.ts';
import { type PolicyRule, rulesCover } from '../authorization/rule-matching.ts';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { Authorizer } from '../contract/authorizer.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { asObject, textIn } from './pod-shape.ts';

const GROUP = 'rbac.authorization.k8s.io';

/**
 * Nobody gives rights away that they do not hold, unless they may `escalate` roles or `bind` the role in question.
 * Upstream checks this in the storage of roles and bindings; the place differs, the answer does not.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
 */
export function rbacEscalation(authorizer: Authorizer, rbac: RbacAuthorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    async validate(request, signal) {
      if (request.group !== GROUP || request.subresource !== '' || !['CREATE', 'UPDATE'].includes(request.operation)) return;
      if (request.user.groups.includes('system:masters')) return;
      const isRole = request.resource === 'roles' || request.resource === 'clusterroles';
      const wanted = isRole ? rulesIn(request) : await rulesBound(request, rbac);
      if (isRole && request.oldObject !== undefined && JSON.stringify(asObject(request.oldObject)?.rules ?? []) === JSON.stringify(wanted))
        return;
      const question = isRole
        ? { verb: 'escalate', resource: request.resource, name: request.name }
        : { verb: 'bind', ...boundRole(request) };
      const { decision } = await authorizer.authorize(
        {
          user: request.user,
          kind: 'resource',
          group: GROUP,
          version: request.version,
          subresource: '',
          namespace: request.namespace,
          ...question,
        },
        signal,
      );
      if (decision === 'allow') return;
      if (rulesCover(await rbac.policyRulesOf(request.user, request.namespace), wanted)) return;
      const why = `user "${request.user.name}" (groups=${JSON.stringify(request.user.groups)}) is attempting to grant RBAC permissions not currently held`;
      throw forbiddenRequest({ group: GROUP, resource: request.resource }, request.name, why);
    },
  };
}

function rulesIn(request: AdmissionRequest): readonly PolicyRule[] {
  return (Array.isArray(request.object?.rules) ? request.object.rules : []) as unknown as readonly PolicyRule[];
}

async function rulesBound(request: AdmissionRequest, rbac: RbacAuthorizer): Promise<readonly PolicyRule[]> {
  const { kind, name } = referenceIn(request);
  return rbac.rulesOf({ kind, name }, request.namespace);
}

function boundRole(request: AdmissionRequest): { readonly resource: string; readonly name: string } {
  const { kind, name } = referenceIn(request);
  return { resource: kind === 'ClusterRole' ? 'clusterroles' : 'roles', name };
}

function referenceIn(request: AdmissionRequest): { readonly kind: string; readonly name: string } {
  const reference = asObject(request.object?.roleRef);
  return { kind: textIn(reference?.kind), name: textIn(reference?.name) };
}
