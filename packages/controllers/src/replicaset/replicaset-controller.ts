import { type ReplicaSet, type ReplicationController, replicaSets, replicationControllers, selectorOfLabels } from '@dure/api';
import type { ControllerFactory } from '../controller.ts';
import { controllerOf } from '../ownership.ts';
import { replicaController } from './replica-controller.ts';
import { selectorOf } from './replica-plan.ts';

/** Keeps the Pods of every ReplicaSet at its number. */
export const replicaSetController: ControllerFactory = (context) =>
  replicaController<ReplicaSet>(
    {
      name: 'replicaset',
      component: 'replicaset-controller',
      ref: replicaSets,
      ownerOf: (object) => ({
        object,
        replicas: object.spec.replicas ?? 1,
        minReadySeconds: object.spec.minReadySeconds ?? 0,
        selector: selectorOf(object.spec.selector),
        template: object.spec.template ?? { spec: { containers: [] } },
        status: object.status ?? { replicas: 0 },
      }),
      withStatus: (object, status) => ({ ...object, status }),
      relatives: (object, all) => {
        const deployment = controllerOf(object);
        const { namespace } = object.metadata;
        if (deployment === undefined || namespace === undefined) return [object];
        return all(namespace).filter((other) => controllerOf(other)?.uid === deployment.uid);
      },
    },
    context,
  );

/** The same for ReplicationControllers, the older kind. */
export const replicationControllerController: ControllerFactory = (context) =>
  replicaController<ReplicationController>(
    {
      name: 'replicationcontroller',
      component: 'replication-controller',
      ref: replicationControllers,
      ownerOf: (object) => ({
        object,
        replicas: object.spec.replicas ?? 1,
        minReadySeconds: object.spec.minReadySeconds ?? 0,
        selector: selectorOfLabels(object.spec.selector ?? object.spec.template?.metadata?.labels ?? {}),
        template: object.spec.template ?? { spec: { containers: [] } },
        status: object.status ?? { replicas: 0 },
      }),
      withStatus: (object, { terminatingReplicas: _newer, ...status }) => ({ ...object, status }),
      relatives: (object) => [object],
    },
    context,
  );
