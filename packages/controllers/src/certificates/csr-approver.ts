import { type CertificateSigningRequest, certificateSigningRequests } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { parseRequest } from '@dure/pki';
import { type Reconciler, TerminalError, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { planApproval } from './approval-plan.ts';
import { hasCondition, requestPem } from './csr-condition.ts';

/** Approves what nodes ask for themselves; everything else waits for a person. */
export const csrApprover: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const cache = informers.informer<CertificateSigningRequest>(certificateSigningRequests);
  const queue = new WorkQueue({ clock });
  cache.addHandler({ add: ({ metadata }) => queue.add(metadata.name), update: ({ metadata }) => queue.add(metadata.name) });

  const reconciler: Reconciler = async (name, signal) => {
    const request = cache.get(name);
    if (request === undefined || hasCondition(request, 'Approved') || hasCondition(request, 'Denied')) return {};
    if ((request.status?.certificate ?? '') !== '') return {};
    const info = await parseRequest(requestPem(request)).catch((cause: unknown) => {
      throw new TerminalError(`certificate signing request ${name} holds no valid request`, { cause });
    });
    const plan = planApproval(request, info);
    if (plan.kind === 'leave') return {};
    const now = rfc3339Seconds(clock.now());
    const condition = {
      type: 'Approved',
      status: 'True',
      reason: 'AutoApproved',
      message: plan.message,
      lastUpdateTime: now,
      lastTransitionTime: now,
    };
    const status = { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] };
    const body = { ...request, apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', status };
    await client.request(
      'PUT',
      `/apis/certificates.k8s.io/v1/certificatesigningrequests/${encodeURIComponent(name)}/approval`,
      body,
      signal,
    );
    return {};
  };
  return reconcilingController({ name: 'csr-approver', context, queue, reconciler, caches: [cache], workers: 2 });
};
