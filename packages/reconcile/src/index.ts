export { Expectations } from './expectations.ts';
export { type ReconcileResult, type Reconciler, type ReconcilerRun, runReconciler, TerminalError } from './reconciler.ts';
export { WorkQueue, type WorkQueueMetrics, type WorkQueueOptions } from './work-queue.ts';
