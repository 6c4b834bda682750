import { type JsonObject, objectAt, stringsAt } from '@dure/api';
import { withCondition } from '../registry/conditions.ts';
import { CLEANUP_FINALIZER } from './definition-status.ts';

/** Makes `definition`, which is asked to go, wait for its objects: as upstream's registry does before it marks it. Changes it. @param now RFC 3339. */
export function holdForCleanup(definition: JsonObject, now: string): void {
  const meta = objectAt(definition, 'metadata') ?? {};
  const finalizers = stringsAt(meta, 'finalizers');
  meta.finalizers = finalizers.includes(CLEANUP_FINALIZER) ? [...finalizers] : [...finalizers, CLEANUP_FINALIZER];
  definition.status = withCondition(
    objectAt(definition, 'status') ?? {},
    {
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will be initiated soon',
    },
    now,
  );
}
