export { ClusterState, type ClusterView, type PlacedPod } from './cluster-state.ts';
export { type Decision, type DecisionInput, type Diagnosis, decide } from './decision.ts';
export { describeRefusal } from './diagnosis.ts';
export { NodeInfo } from './node-info.ts';
export type { ClusterEvent, FilterPlugin, NodeFilter, NodeScore, Refusal, ScorePlugin } from './plugin.ts';
export { defaultFilters, defaultScores } from './plugins.ts';
export { type PodInfo, podInfo } from './pod-info.ts';
export { nonZeroRequests, parseResources, podRequests, type Resources } from './resources.ts';
export { createScheduler, type Scheduler, type SchedulerMetrics, type SchedulerOptions } from './scheduler.ts';
