// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';

/** authentication.v1.BoundObjectReference. */
export interface BoundObjectReference {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly name?: string;
  readonly uid?: string;
}

/** authentication.v1.SelfSubjectReview. */
export interface SelfSubjectReview extends KubeObject {
  readonly status: SelfSubjectReviewStatus;
}

/** authentication.v1.SelfSubjectReviewStatus. */
export interface SelfSubjectReviewStatus {
  readonly userInfo?: UserInfo;
}

/** authentication.v1.TokenRequest. */
export interface TokenRequest extends KubeObject {
  readonly spec: TokenRequestSpec;
  readonly status: TokenRequestStatus;
}

/** authentication.v1.TokenRequestSpec. */
export interface TokenRequestSpec {
  readonly audiences?: readonly string[];
  readonly expirationSeconds?: number | bigint;
  readonly boundObjectRef?: BoundObjectReference;
}

/** authentication.v1.TokenRequestStatus. */
export interface TokenRequestStatus {
  readonly token?: string;
  readonly expirationTimestamp?: string;
}

/** authentication.v1.TokenReview. */
export interface TokenReview extends KubeObject {
  readonly spec: TokenReviewSpec;
  readonly status: TokenReviewStatus;
}

/** authentication.v1.TokenReviewSpec. */
export interface TokenReviewSpec {
  readonly token: string;
  readonly audiences?: readonly string[];
}

/** authentication.v1.TokenReviewStatus. */
export interface TokenReviewStatus {
  readonly authenticated?: boolean;
  readonly user?: UserInfo;
  readonly audiences?: readonly string[];
  readonly error?: string;
}

/** authentication.v1.UserInfo. */
export interface UserInfo {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}
