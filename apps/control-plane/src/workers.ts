import { type ApiServer, legacyTokenSigner, type UserInfo } from '@dure/apiserver';
import { createClient, createEventRecorder, createInformerFactory } from '@dure/client';
import { controllerFactories, runControllers } from '@dure/controllers';
import type { Clock, Logger, Random } from '@dure/foundation';
import { signRequest } from '@dure/pki';
import { createScheduler } from '@dure/scheduler';
import type { ClusterPki } from './cluster-pki.ts';
import type { Config } from './config.ts';

export interface WorkersDeps {
  readonly server: ApiServer;
  readonly config: Config;
  readonly pki: ClusterPki;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Components in this process are told apart in the API by name; as parts of the server they may do what it may. */
export const inProcess = (name: string): UserInfo => ({ name, groups: ['system:masters', 'system:authenticated'] });

/**
 * Runs scheduler and controllers as clients of the server in this process, until `signal` aborts and all have ended. Without an election: an
 * embedded store belongs to one process, so nobody else can lead, and a restart need not wait for a Lease of its own to run out.
 */
export async function runWorkers({ server, config, pki, clock, random, log }: WorkersDeps, signal: AbortSignal): Promise<void> {
  const clientOf = (component: string) =>
    createClient(server.transport(inProcess(`system:${component}`), component), { userAgent: component });
  const reader = clientOf('kube-controller-manager');
  // Whole objects: they are the server's own, shared; a copy without managed fields would cost more than it saves.
  const informers = createInformerFactory({ client: reader, clock, random, log: log.child({ component: 'informers' }) });

  const schedulerClient = clientOf('kube-scheduler');
  const schedulerEvents = createEventRecorder({ client: schedulerClient, component: 'default-scheduler', clock, random, log });
  const scheduler = createScheduler({
    client: schedulerClient,
    informers,
    events: schedulerEvents,
    clock,
    random,
    log: log.child({ component: 'scheduler' }),
  });
  const factories = controllerFactories({
    clusterCidr: config.podCIDR,
    nodePodPrefix: config.nodePodPrefix,
    rootCa: pki.ca.certificatePem,
    signToken: legacyTokenSigner(pki.serviceAccountKeyPem),
    signCertificateRequest: (request, options) => signRequest(pki.ca, request, options, { clock, random }),
  });
  await Promise.all([
    runControllers({ factories, client: reader, informers, clock, random, log: log.child({ component: 'controllers' }) }, signal),
    scheduler.run(signal),
    schedulerEvents.run(signal),
    informers.run(signal),
  ]);
}
