import type { KubeObject } from '@dure/api';
import type { AuthorizationQuery, AuthorizationResult, Authorizer, RuleSummary } from '../contract/authorizer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { UserInfo } from '../contract/user.ts';
import { type PolicyRule, ruleAllows, summarizeRules } from './rule-matching.ts';

const GROUP = 'rbac.authorization.k8s.io';

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

interface Binding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: { readonly kind: string; readonly name: string };
}

interface Role extends KubeObject {
  readonly rules?: readonly PolicyRule[] | null;
}

/** A rule that applies to the user, and the binding that gives it. */
interface Grant {
  readonly rule: PolicyRule;
  readonly source: string;
}

/**
 * Role-based access control over the server's own watch caches. Grants only: what no rule allows gets `no-opinion`, which the server refuses.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
export class RbacAuthorizer implements Authorizer {
  readonly #reader: ObjectReader;

  constructor(reader: ObjectReader) {
    this.#reader = reader;
  }

  async authorize(query: AuthorizationQuery): Promise<AuthorizationResult> {
    const namespace = query.kind === 'resource' ? query.namespace : '';
    for await (const { rule, source } of this.#grants(query.user, namespace)) {
      if (ruleAllows(rule, query.verb, query)) return { decision: 'allow', reason: `RBAC: allowed by ${source}` };
    }
    return { decision: 'no-opinion' };
  }

  async rulesFor(user: UserInfo, namespace: string): Promise<RuleSummary> {
    return { ...summarizeRules(await this.policyRulesOf(user, namespace)), incomplete: false };
  }

  /** Every rule that applies to `user` in `namespace` ('' : cluster scope only): what escalation is measured against. */
  async policyRulesOf(user: UserInfo, namespace: string): Promise<PolicyRule[]> {
    const rules: PolicyRule[] = [];
    for await (const { rule } of this.#grants(user, namespace)) rules.push(rule);
    return rules;
  }

  /** The rules behind a roleRef; empty where the role does not exist. */
  async rulesOf(roleRef: Binding['roleRef'], namespace: string): Promise<readonly PolicyRule[]> {
    const role =
      roleRef.kind === 'ClusterRole'
        ? await this.#reader.get(GROUP, 'clusterroles', undefined, roleRef.name)
        : await this.#reader.get(GROUP, 'roles', namespace, roleRef.name);
    return (role as Role | undefined)?.rules ?? [];
  }

  async *#grants(user: UserInfo, namespace: string): AsyncGenerator<Grant> {
    const clusterBindings = (await this.#reader.list(GROUP, 'clusterrolebindings')) as readonly Binding[];
    yield* this.#grantsOf(clusterBindings, user, '', 'ClusterRoleBinding');
    if (namespace === '') return;
    const bindings = (await this.#reader.list(GROUP, 'rolebindings', { namespace })) as readonly Binding[];
    yield* this.#grantsOf(bindings, user, namespace, 'RoleBinding');
  }

  async *#grantsOf(bindings: readonly Binding[], user: UserInfo, namespace: string, kind: string): AsyncGenerator<Grant> {
    for (const binding of bindings) {
      if (!(binding.subjects ?? []).some((subject) => isSubject(subject, user, namespace))) continue;
      const { roleRef, metadata } = binding;
      const where = namespace === '' ? metadata.name : `${metadata.name}/${namespace}`;
      for (const rule of await this.rulesOf(roleRef, namespace))
        yield { rule, source: `${kind} "${where}" of ${roleRef.kind} "${roleRef.name}"` };
    }
  }
}

/** @param bindingNamespace Where a ServiceAccount subject without a namespace is looked for; '' for a ClusterRoleBinding, which must name it. */
function isSubject({ kind, name, namespace }: Subject, user: UserInfo, bindingNamespace: string): boolean {
  switch (kind) {
    case 'User':
      return user.name === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount': {
      const home = namespace ?? bindingNamespace;
      return home !== '' && user.name === `system:serviceaccount:${home}:${name}`;
    }
    default:
      return false;
  }
}
