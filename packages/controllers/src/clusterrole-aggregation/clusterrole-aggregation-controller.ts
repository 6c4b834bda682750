import { aggregatedRules, type ClusterRole, clusterRoles, isConflict, isNotFound, semanticEqual } from '@dure/api';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';

const FIELD_MANAGER = 'clusterrole-aggregation-controller';

/** Keeps the rules of ClusterRoles that collect those of others at what these have. What somebody else writes into them does not stay. */
export const clusterRoleAggregationController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const roles = informers.informer<ClusterRole>(clusterRoles);
  const queue = new WorkQueue({ clock });
  // Any role may be a part of any that collects, by its labels of now or of before.
  const enqueueCollecting = (): void => {
    for (const { metadata, aggregationRule } of roles.list()) if (aggregationRule !== undefined) queue.add(metadata.name);
  };
  roles.addHandler({ add: enqueueCollecting, update: enqueueCollecting, delete: enqueueCollecting });

  const reconciler: Reconciler = async (name, signal) => {
    const role = roles.get(name);
    if (role === undefined) return {};
    const rules = aggregatedRules(role, roles.list());
    if (rules === undefined || semanticEqual(role.rules, rules)) return {};
    // With the uid, so that a role that has just gone does not come back by being applied.
    const metadata = { name, uid: role.metadata.uid };
    const object = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules };
    try {
      await client.patch<ClusterRole>(
        clusterRoles,
        { name },
        { kind: 'apply', object, fieldManager: FIELD_MANAGER, force: true },
        {},
        signal,
      );
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
    return {};
  };
  return reconcilingController({ name: 'clusterrole-aggregation', context, queue, reconciler, caches: [roles] });
};
