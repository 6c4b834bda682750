// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';

/** flowcontrol.v1.ExemptPriorityLevelConfiguration. */
export interface ExemptPriorityLevelConfiguration {
  readonly nominalConcurrencyShares?: number;
  readonly lendablePercent?: number;
}

/** flowcontrol.v1.FlowDistinguisherMethod. */
export interface FlowDistinguisherMethod {
  readonly type: string;
}

/** flowcontrol.v1.FlowSchema. */
export interface FlowSchema extends KubeObject {
  readonly spec: FlowSchemaSpec;
  readonly status: FlowSchemaStatus;
}

/** flowcontrol.v1.FlowSchemaCondition. */
export interface FlowSchemaCondition {
  readonly type?: string;
  readonly status?: string;
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** flowcontrol.v1.FlowSchemaSpec. */
export interface FlowSchemaSpec {
  readonly priorityLevelConfiguration: PriorityLevelConfigurationReference;
  readonly matchingPrecedence?: number;
  readonly distinguisherMethod?: FlowDistinguisherMethod;
  readonly rules?: readonly PolicyRulesWithSubjects[];
}

/** flowcontrol.v1.FlowSchemaStatus. */
export interface FlowSchemaStatus {
  readonly conditions?: readonly FlowSchemaCondition[];
}

/** flowcontrol.v1.GroupSubject. */
export interface GroupSubject {
  readonly name: string;
}

/** flowcontrol.v1.LimitResponse. */
export interface LimitResponse {
  readonly type: string;
  readonly queuing?: QueuingConfiguration;
}

/** flowcontrol.v1.LimitedPriorityLevelConfiguration. */
export interface LimitedPriorityLevelConfiguration {
  readonly nominalConcurrencyShares?: number;
  readonly limitResponse?: LimitResponse;
  readonly lendablePercent?: number;
  readonly borrowingLimitPercent?: number;
}

/** flowcontrol.v1.NonResourcePolicyRule. */
export interface NonResourcePolicyRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

/** flowcontrol.v1.PolicyRulesWithSubjects. */
export interface PolicyRulesWithSubjects {
  readonly subjects: readonly Subject[];
  readonly resourceRules?: readonly ResourcePolicyRule[];
  readonly nonResourceRules?: readonly NonResourcePolicyRule[];
}

/** flowcontrol.v1.PriorityLevelConfiguration. */
export interface PriorityLevelConfiguration extends KubeObject {
  readonly spec: PriorityLevelConfigurationSpec;
  readonly status: PriorityLevelConfigurationStatus;
}

/** flowcontrol.v1.PriorityLevelConfigurationCondition. */
export interface PriorityLevelConfigurationCondition {
  readonly type?: string;
  readonly status?: string;
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** flowcontrol.v1.PriorityLevelConfigurationReference. */
export interface PriorityLevelConfigurationReference {
  readonly name: string;
}

/** flowcontrol.v1.PriorityLevelConfigurationSpec. */
export interface PriorityLevelConfigurationSpec {
  readonly type: string;
  readonly limited?: LimitedPriorityLevelConfiguration;
  readonly exempt?: ExemptPriorityLevelConfiguration;
}

/** flowcontrol.v1.PriorityLevelConfigurationStatus. */
export interface PriorityLevelConfigurationStatus {
  readonly conditions?: readonly PriorityLevelConfigurationCondition[];
}

/** flowcontrol.v1.QueuingConfiguration. */
export interface QueuingConfiguration {
  readonly queues?: number;
  readonly handSize?: number;
  readonly queueLengthLimit?: number;
}

/** flowcontrol.v1.ResourcePolicyRule. */
export interface ResourcePolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly clusterScope?: boolean;
  readonly namespaces?: readonly string[];
}

/** flowcontrol.v1.ServiceAccountSubject. */
export interface ServiceAccountSubject {
  readonly namespace: string;
  readonly name: string;
}

/** flowcontrol.v1.Subject. */
export interface Subject {
  readonly kind: string;
  readonly user?: UserSubject;
  readonly group?: GroupSubject;
  readonly serviceAccount?: ServiceAccountSubject;
}

/** flowcontrol.v1.UserSubject. */
export interface UserSubject {
  readonly name: string;
}
