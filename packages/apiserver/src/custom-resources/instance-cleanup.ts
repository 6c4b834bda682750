import { type KindDefinition, StatusError } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { Entry, Store } from '@dure/store';
import type { UserInfo } from '../contract/user.ts';
import { metaText } from '../registry/object-meta.ts';
import { callFor } from '../registry/own-call.ts';
import { resourcePrefix } from '../registry/storage-key.ts';
import { decodeStored } from '../registry/stored-object.ts';
import type { Writer } from '../registry/writer.ts';

export interface CleanupDeps {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly user: UserInfo;
}

const PAGE = 500;
const DELETE_WORKERS = 8;
/** Objects with finalizers go when their owners say so: looked at often at first, then less. */
const WAIT_MIN_MS = 50;
const WAIT_MAX_MS = 2_000;

/** Deletes every object of `definition`'s kind, as a client would, and settles once none is left. */
export async function removeInstances(definition: KindDefinition, deps: CleanupDeps, signal: AbortSignal): Promise<void> {
  const prefix = resourcePrefix(definition.group, definition.resource);
  for (let waitMs = WAIT_MIN_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MAX_MS)) {
    let found = 0;
    let after: string | undefined;
    for (;;) {
      const page = await deps.store.list(prefix, { limit: PAGE, signal, ...(after === undefined ? {} : { after }) });
      found += page.entries.length;
      await deleteAll(definition, page.entries, deps, signal);
      after = page.entries.at(-1)?.key;
      if (page.remaining === 0 || after === undefined) break;
    }
    if (found === 0) return;
    await deps.clock.sleep(waitMs, signal);
  }
}

async function deleteAll(definition: KindDefinition, entries: readonly Entry[], deps: CleanupDeps, signal: AbortSignal): Promise<void> {
  const queue = entries.map((entry) => decodeStored(entry.value, entry.modifiedAt));
  const work = async (): Promise<void> => {
    for (let object = queue.shift(); object !== undefined; object = queue.shift()) {
      if (metaText(object, 'deletionTimestamp') !== '') continue;
      await deps.writer.delete(callFor(definition, object, deps.user, signal), { dryRun: false }).catch((error: unknown) => {
        if (!(error instanceof StatusError) || (error.reason !== 'NotFound' && error.reason !== 'Conflict')) throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: DELETE_WORKERS }, work));
}
