// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { Condition, DeleteOptions, LabelSelector } from './meta-v1.ts';

/** policy.v1.Eviction. */
export interface Eviction extends KubeObject {
  readonly deleteOptions?: DeleteOptions;
}

/** policy.v1.PodDisruptionBudget. */
export interface PodDisruptionBudget extends KubeObject {
  readonly spec: PodDisruptionBudgetSpec;
  readonly status: PodDisruptionBudgetStatus;
}

/** policy.v1.PodDisruptionBudgetSpec. */
export interface PodDisruptionBudgetSpec {
  readonly minAvailable?: number | string;
  readonly selector?: LabelSelector;
  readonly maxUnavailable?: number | string;
  readonly unhealthyPodEvictionPolicy?: 'IfHealthyBudget' | 'AlwaysAllow';
}

/** policy.v1.PodDisruptionBudgetStatus. */
export interface PodDisruptionBudgetStatus {
  readonly observedGeneration?: number | bigint;
  readonly disruptedPods?: Readonly<Record<string, string>>;
  readonly disruptionsAllowed?: number;
  readonly currentHealthy?: number;
  readonly desiredHealthy?: number;
  readonly expectedPods?: number;
  readonly conditions?: readonly Condition[];
}
