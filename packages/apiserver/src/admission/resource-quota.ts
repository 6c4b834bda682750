import { type JsonObject, quotaEvaluator } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { StatusSwap } from '../contract/status-swap.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { QuotaClaims } from './quota-claims.ts';

/**
 * Refuses what would use more than the namespace's ResourceQuotas allow. Belongs at the very end: what is claimed here and then refused
 * elsewhere is missing until it is counted again.
 * @see https://kubernetes.io/docs/concepts/policy/resource-quotas/
 */
export function resourceQuota(reader: ObjectReader, statuses: StatusSwap, clock: Clock): AdmissionPlugin {
  const claims = new QuotaClaims(reader, statuses, clock);
  return {
    name: 'ResourceQuota',
    async validate(request, signal) {
      const { operation, group, resource, namespace, object } = request;
      if (object === undefined || namespace === '' || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
      if (group === '' && resource === 'namespaces') return;
      const evaluator = quotaEvaluator(group, resource);
      const { oldObject, subresource } = request;
      const old = oldObject === undefined ? {} : { oldObject: oldObject as unknown as JsonObject };
      if (evaluator === undefined || !evaluator.handles({ operation, subresource, object, ...old })) return;
      await claims.claim({ request: { ...request, object }, evaluator }, signal);
    },
  };
}
