import { createEventRecorder, type RunningEventRecorder } from '@dure/client';
import { messageOf, retryDelayMs } from '@dure/foundation';
import { tokenCleaner } from './bootstrap-token/token-cleaner.ts';
import { csrApprover } from './certificates/csr-approver.ts';
import { csrCleaner } from './certificates/csr-cleaner.ts';
import { csrSigner, type SignCertificateRequest } from './certificates/csr-signer.ts';
import { clusterRoleAggregationController } from './clusterrole-aggregation/clusterrole-aggregation-controller.ts';
import type { Controller, ControllerContext, ControllerFactory } from './controller.ts';
import { deploymentController } from './deployment/deployment-controller.ts';
import { disruptionController } from './disruption/disruption-controller.ts';
import { endpointsController } from './endpoints/endpoints-controller.ts';
import { endpointSliceController } from './endpointslice/endpointslice-controller.ts';
import { endpointSliceMirroringController } from './endpointslice-mirroring/endpointslice-mirroring-controller.ts';
import { garbageCollector } from './garbage-collector/garbage-collector.ts';
import { namespaceController } from './namespace/namespace-controller.ts';
import { nodeIpamController } from './node/node-ipam-controller.ts';
import { type NodeLifecycleOptions, nodeLifecycleController } from './node/node-lifecycle-controller.ts';
import { taintEvictionController } from './node/taint-eviction-controller.ts';
import { podGcController } from './pod-gc/pod-gc-controller.ts';
import { replicaSetController, replicationControllerController } from './replicaset/replicaset-controller.ts';
import { resourceQuotaController } from './resourcequota/resource-quota-controller.ts';
import { rootCaPublisher } from './root-ca/root-ca-publisher.ts';
import { serviceAddressController } from './service-range/service-address-controller.ts';
import { serviceCidrController } from './service-range/service-cidr-controller.ts';
import { serviceAccountController } from './serviceaccount/serviceaccount-controller.ts';
import { type TokenSecretOptions, tokenSecretController } from './serviceaccount/token-secret-controller.ts';
import { pvProtectionController } from './storage-protection/pv-protection-controller.ts';
import { pvcProtectionController } from './storage-protection/pvc-protection-controller.ts';
import { vacProtectionController } from './storage-protection/vac-protection-controller.ts';

/** What differs from cluster to cluster. */
export interface ControllersConfig {
  /** The Pod network, `10.42.0.0/16`; every node gets a part of it. */
  readonly clusterCidr: string;
  /** Prefix length of a node's part of it. Default: 24. */
  readonly nodePodPrefix?: number;
  /** PEM that Pods verify the API server with. */
  readonly rootCa: string;
  readonly signCertificateRequest: SignCertificateRequest;
  /** Makes the tokens of Secrets that ask for one. */
  readonly signToken: TokenSecretOptions['signToken'];
  readonly nodeLifecycle?: NodeLifecycleOptions;
}

/** Every controller of a cluster by name, in no particular order: none depends on another having run. */
export function controllerFactories(config: ControllersConfig): ReadonlyMap<string, ControllerFactory> {
  return new Map<string, ControllerFactory>([
    ['namespace', namespaceController],
    ['serviceaccount', serviceAccountController],
    ['serviceaccount-token', tokenSecretController({ rootCa: config.rootCa, signToken: config.signToken })],
    ['root-ca-certificate-publisher', rootCaPublisher(config.rootCa)],
    ['deployment', deploymentController],
    ['replicaset', replicaSetController],
    ['replicationcontroller', replicationControllerController],
    ['endpointslice', endpointSliceController],
    ['endpointslice-mirroring', endpointSliceMirroringController],
    ['endpoints', endpointsController],
    ['node-lifecycle', nodeLifecycleController(config.nodeLifecycle)],
    ['taint-eviction', taintEvictionController],
    ['node-ipam', nodeIpamController({ clusterCidr: config.clusterCidr, nodePrefix: config.nodePodPrefix ?? 24 })],
    ['pod-garbage-collector', podGcController],
    ['garbage-collector', garbageCollector],
    ['resourcequota', resourceQuotaController],
    ['disruption', disruptionController],
    ['clusterrole-aggregation', clusterRoleAggregationController],
    ['persistentvolumeclaim-protection', pvcProtectionController],
    ['persistentvolume-protection', pvProtectionController],
    ['volumeattributesclass-protection', vacProtectionController],
    ['service-cidr', serviceCidrController],
    ['service-address', serviceAddressController],
    ['csr-approver', csrApprover],
    ['csr-signer', csrSigner({ signCertificateRequest: config.signCertificateRequest })],
    ['csr-cleaner', csrCleaner],
    ['token-cleaner', tokenCleaner],
  ]);
}

export interface RunControllersOptions extends Omit<ControllerContext, 'events'> {
  readonly factories: ReadonlyMap<string, ControllerFactory>;
  /** Where Events go. Default: recorders over `client`, one per component. */
  readonly events?: ControllerContext['events'];
}

const RESTART = { baseMs: 1_000, maxMs: 60_000 };

/**
 * Runs the controllers until `signal` aborts and all have ended. The informers are the caller's to run. One that fails is started again
 * after a pause; the others go on.
 */
export async function runControllers({ factories, ...options }: RunControllersOptions, signal: AbortSignal): Promise<void> {
  const recorders = new Map<string, RunningEventRecorder>();
  const running: Promise<void>[] = [];
  const events = (component: string): RunningEventRecorder => {
    const existing = recorders.get(component);
    if (existing !== undefined) return existing;
    const recorder = createEventRecorder({ ...options, component });
    recorders.set(component, recorder);
    running.push(recorder.run(signal));
    return recorder;
  };
  const context: ControllerContext = { ...options, events: options.events ?? events };
  // All of them attach their handlers and ask for their informers before any of them runs.
  const controllers = [...factories].map(([name, create]) => ({ name, controller: create(context) }));
  await Promise.all(controllers.map(({ name, controller }) => keepRunning(name, controller, context, signal)));
  await Promise.all(running);
}

async function keepRunning(name: string, controller: Controller, { clock, log }: ControllerContext, signal: AbortSignal): Promise<void> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      await controller.run(signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      log.error('controller failed, starting it again', { controller: name, why: messageOf(error), error });
      await clock.sleep(retryDelayMs(failures, RESTART), signal).catch(() => undefined);
    }
  }
}
