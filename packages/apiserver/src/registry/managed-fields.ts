import { type JsonObject, type KubeObject, MissingKeyError, type SchemaBook, trackUpdate } from '@dure/api';
import { metaOf } from './object-meta.ts';
import { type RegistryCall, storageVersionOf } from './scope.ts';
import { versionedWrites } from './versioned-write.ts';

/**
 * Notes in managedFields what a write that is no apply changed: `manager` owns that now, and nobody else does.
 * @param object In the version that the server works on; changed in place. @param now RFC 3339.
 */
export async function recordUpdate(
  book: SchemaBook,
  call: RegistryCall,
  object: JsonObject,
  old: KubeObject | undefined,
  manager: string,
  now: string,
): Promise<void> {
  const { definition, version } = call.kind;
  const before = old as unknown as JsonObject | undefined;
  const otherVersions = version.converter === undefined ? undefined : await versionedWrites(call.kind, before, object, call.signal);
  const tracked = tracking(before, object, {
    schema: (version.structural === true ? version : storageVersionOf(definition)).schema,
    book,
    manager,
    apiVersion: String(object.apiVersion),
    subresource: call.subresource,
    ignored: untouchedParts(call),
    time: now,
    otherVersions,
  });
  if (tracked === undefined) return;
  const { managedFields } = metaOf(tracked);
  const meta = metaOf(object);
  if (managedFields === undefined) delete meta.managedFields;
  else meta.managedFields = managedFields;
}

/** `undefined` where an entry of a list lacks its key: nobody can own that, and validation is about to say what is wrong. */
function tracking(...args: Parameters<typeof trackUpdate>): JsonObject | undefined {
  try {
    return trackUpdate(...args);
  } catch (error) {
    if (error instanceof MissingKeyError) return undefined;
    throw error;
  }
}

/** Top-level fields that the door of `call` leaves alone, so that nobody comes to own them there. */
export function untouchedParts({ kind, subresource }: RegistryCall): readonly string[] {
  const hasStatus = kind.definition.subresources.some(({ name }) => name === 'status');
  return hasStatus && subresource === '' ? ['status'] : [];
}
