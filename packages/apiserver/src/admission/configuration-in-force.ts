import type { ObjectReader } from '../contract/object-reader.ts';
import type { KindHooks } from '../registry/kind-hooks.ts';
import { CONFIGURATION_GROUP, CONFIGURATION_RESOURCES } from './matching/versioned-request.ts';

/**
 * Hooks by which whoever writes a configuration of admission is answered only once this server acts by it: the next request, whoever
 * makes it, is judged by what was written. Upstream leaves that to time.
 */
export function configurationHooks(reads: ObjectReader): ReadonlyMap<string, KindHooks> {
  return new Map(
    [...CONFIGURATION_RESOURCES].map((resource) => {
      const caughtUp = async (): Promise<void> => {
        // What was written stands, also where this server cannot catch up in time.
        await reads.list(CONFIGURATION_GROUP, resource, { where: () => false, fresh: true }).catch(() => undefined);
      };
      return [`${CONFIGURATION_GROUP}/${resource}`, { afterCreate: caughtUp, afterUpdate: caughtUp, afterDelete: caughtUp }];
    }),
  );
}
