// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { FieldSelectorRequirement, LabelSelectorRequirement } from './meta-v1.ts';

/** authorization.v1.FieldSelectorAttributes. */
export interface FieldSelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly FieldSelectorRequirement[];
}

/** authorization.v1.LabelSelectorAttributes. */
export interface LabelSelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly LabelSelectorRequirement[];
}

/** authorization.v1.LocalSubjectAccessReview. */
export interface LocalSubjectAccessReview extends KubeObject {
  readonly spec: SubjectAccessReviewSpec;
  readonly status: SubjectAccessReviewStatus;
}

/** authorization.v1.NonResourceAttributes. */
export interface NonResourceAttributes {
  readonly path?: string;
  readonly verb?: string;
}

/** authorization.v1.NonResourceRule. */
export interface NonResourceRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** authorization.v1.ResourceAttributes. */
export interface ResourceAttributes {
  readonly namespace?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly fieldSelector?: FieldSelectorAttributes;
  readonly labelSelector?: LabelSelectorAttributes;
}

/** authorization.v1.ResourceRule. */
export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** authorization.v1.SelfSubjectAccessReview. */
export interface SelfSubjectAccessReview extends KubeObject {
  readonly spec: SelfSubjectAccessReviewSpec;
  readonly status: SubjectAccessReviewStatus;
}

/** authorization.v1.SelfSubjectAccessReviewSpec. */
export interface SelfSubjectAccessReviewSpec {
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: NonResourceAttributes;
}

/** authorization.v1.SelfSubjectRulesReview. */
export interface SelfSubjectRulesReview extends KubeObject {
  readonly spec: SelfSubjectRulesReviewSpec;
  readonly status: SubjectRulesReviewStatus;
}

/** authorization.v1.SelfSubjectRulesReviewSpec. */
export interface SelfSubjectRulesReviewSpec {
  readonly namespace?: string;
}

/** authorization.v1.SubjectAccessReview. */
export interface SubjectAccessReview extends KubeObject {
  readonly spec: SubjectAccessReviewSpec;
  readonly status: SubjectAccessReviewStatus;
}

/** authorization.v1.SubjectAccessReviewSpec. */
export interface SubjectAccessReviewSpec {
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: NonResourceAttributes;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly uid?: string;
}

/** authorization.v1.SubjectAccessReviewStatus. */
export interface SubjectAccessReviewStatus {
  readonly allowed: boolean;
  readonly denied?: boolean;
  readonly reason?: string;
  readonly evaluationError?: string;
}

/** authorization.v1.SubjectRulesReviewStatus. */
export interface SubjectRulesReviewStatus {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  readonly incomplete: boolean;
  readonly evaluationError?: string;
}
