// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { Condition, LabelSelector } from './meta-v1.ts';

/** admissionregistration.v1.ApplyConfiguration. */
export interface ApplyConfiguration {
  readonly expression?: string;
}

/** admissionregistration.v1.AuditAnnotation. */
export interface AuditAnnotation {
  readonly key: string;
  readonly valueExpression: string;
}

/** admissionregistration.v1.ExpressionWarning. */
export interface ExpressionWarning {
  readonly fieldRef: string;
  readonly warning: string;
}

/** admissionregistration.v1.JSONPatch. */
export interface JSONPatch {
  readonly expression?: string;
}

/** admissionregistration.v1.MatchCondition. */
export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** admissionregistration.v1.MatchResources. */
export interface MatchResources {
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly resourceRules?: readonly NamedRuleWithOperations[];
  readonly excludeResourceRules?: readonly NamedRuleWithOperations[];
  readonly matchPolicy?: 'Exact' | 'Equivalent';
}

/** admissionregistration.v1.MutatingAdmissionPolicy. */
export interface MutatingAdmissionPolicy extends KubeObject {
  readonly spec: MutatingAdmissionPolicySpec;
}

/** admissionregistration.v1.MutatingAdmissionPolicyBinding. */
export interface MutatingAdmissionPolicyBinding extends KubeObject {
  readonly spec: MutatingAdmissionPolicyBindingSpec;
}

/** admissionregistration.v1.MutatingAdmissionPolicyBindingSpec. */
export interface MutatingAdmissionPolicyBindingSpec {
  readonly policyName?: string;
  readonly paramRef?: ParamRef;
  readonly matchResources?: MatchResources;
}

/** admissionregistration.v1.MutatingAdmissionPolicySpec. */
export interface MutatingAdmissionPolicySpec {
  readonly paramKind?: ParamKind;
  readonly matchConstraints?: MatchResources;
  readonly variables?: readonly Variable[];
  readonly mutations?: readonly Mutation[];
  readonly failurePolicy?: 'Ignore' | 'Fail';
  readonly matchConditions?: readonly MatchCondition[];
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
}

/** admissionregistration.v1.MutatingWebhook. */
export interface MutatingWebhook {
  readonly name: string;
  readonly clientConfig: WebhookClientConfig;
  readonly rules?: readonly RuleWithOperations[];
  readonly failurePolicy?: 'Ignore' | 'Fail';
  readonly matchPolicy?: 'Exact' | 'Equivalent';
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly sideEffects: 'Unknown' | 'None' | 'Some' | 'NoneOnDryRun';
  readonly timeoutSeconds?: number;
  readonly admissionReviewVersions: readonly string[];
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
  readonly matchConditions?: readonly MatchCondition[];
}

/** admissionregistration.v1.MutatingWebhookConfiguration. */
export interface MutatingWebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly MutatingWebhook[];
}

/** admissionregistration.v1.Mutation. */
export interface Mutation {
  readonly patchType: 'ApplyConfiguration' | 'JSONPatch';
  readonly applyConfiguration?: ApplyConfiguration;
  readonly jsonPatch?: JSONPatch;
}

/** admissionregistration.v1.NamedRuleWithOperations. */
export interface NamedRuleWithOperations {
  readonly resourceNames?: readonly string[];
  readonly operations?: readonly ('*' | 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT')[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
  readonly scope?: 'Cluster' | 'Namespaced' | '*';
}

/** admissionregistration.v1.ParamKind. */
export interface ParamKind {
  readonly apiVersion?: string;
  readonly kind?: string;
}

/** admissionregistration.v1.ParamRef. */
export interface ParamRef {
  readonly name?: string;
  readonly namespace?: string;
  readonly selector?: LabelSelector;
  readonly parameterNotFoundAction?: string;
}

/** admissionregistration.v1.RuleWithOperations. */
export interface RuleWithOperations {
  readonly operations?: readonly ('*' | 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT')[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
  readonly scope?: 'Cluster' | 'Namespaced' | '*';
}

/** admissionregistration.v1.ServiceReference. */
export interface ServiceReference {
  readonly namespace: string;
  readonly name: string;
  readonly path?: string;
  readonly port?: number;
}

/** admissionregistration.v1.TypeChecking. */
export interface TypeChecking {
  readonly expressionWarnings?: readonly ExpressionWarning[];
}

/** admissionregistration.v1.ValidatingAdmissionPolicy. */
export interface ValidatingAdmissionPolicy extends KubeObject {
  readonly spec: ValidatingAdmissionPolicySpec;
  readonly status: ValidatingAdmissionPolicyStatus;
}

/** admissionregistration.v1.ValidatingAdmissionPolicyBinding. */
export interface ValidatingAdmissionPolicyBinding extends KubeObject {
  readonly spec: ValidatingAdmissionPolicyBindingSpec;
}

/** admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec. */
export interface ValidatingAdmissionPolicyBindingSpec {
  readonly policyName: string;
  readonly paramRef?: ParamRef;
  readonly matchResources?: MatchResources;
  readonly validationActions: readonly ('Deny' | 'Warn' | 'Audit')[];
}

/** admissionregistration.v1.ValidatingAdmissionPolicySpec. */
export interface ValidatingAdmissionPolicySpec {
  readonly paramKind?: ParamKind;
  readonly matchConstraints?: MatchResources;
  readonly validations?: readonly Validation[];
  readonly failurePolicy?: 'Ignore' | 'Fail';
  readonly auditAnnotations?: readonly AuditAnnotation[];
  readonly matchConditions?: readonly MatchCondition[];
  readonly variables?: readonly Variable[];
}

/** admissionregistration.v1.ValidatingAdmissionPolicyStatus. */
export interface ValidatingAdmissionPolicyStatus {
  readonly observedGeneration?: number | bigint;
  readonly typeChecking?: TypeChecking;
  readonly conditions?: readonly Condition[];
}

/** admissionregistration.v1.ValidatingWebhook. */
export interface ValidatingWebhook {
  readonly name: string;
  readonly clientConfig: WebhookClientConfig;
  readonly rules?: readonly RuleWithOperations[];
  readonly failurePolicy?: 'Ignore' | 'Fail';
  readonly matchPolicy?: 'Exact' | 'Equivalent';
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly sideEffects: 'Unknown' | 'None' | 'Some' | 'NoneOnDryRun';
  readonly timeoutSeconds?: number;
  readonly admissionReviewVersions: readonly string[];
  readonly matchConditions?: readonly MatchCondition[];
}

/** admissionregistration.v1.ValidatingWebhookConfiguration. */
export interface ValidatingWebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly ValidatingWebhook[];
}

/** admissionregistration.v1.Validation. */
export interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly reason?: string;
  readonly messageExpression?: string;
}

/** admissionregistration.v1.Variable. */
export interface Variable {
  readonly name: string;
  readonly expression: string;
}

/** admissionregistration.v1.WebhookClientConfig. */
export interface WebhookClientConfig {
  readonly url?: string;
  readonly service?: ServiceReference;
  readonly caBundle?: string;
}
