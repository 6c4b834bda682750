import { type JsonObject, objectsAt, type ServedKind, stringAt, type VersionedWrite } from '@dure/api';
import { apiVersionOf } from './scope.ts';

/**
 * A write of `kind`'s version as every other version shows it that some manager of its fields spoke. `undefined` where versions share their fields, or
 * there was no object before. @throws {StatusError} It cannot be converted.
 */
export async function versionedWrites(
  kind: ServedKind,
  before: JsonObject | undefined,
  after: JsonObject,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, VersionedWrite> | undefined> {
  const { definition, version } = kind;
  if (version.converter === undefined || before === undefined) return undefined;
  const entries = [...objectsAt(before, 'metadata', 'managedFields'), ...objectsAt(after, 'metadata', 'managedFields')];
  const spoken = new Set(entries.map((entry) => stringAt(entry, 'apiVersion')));
  spoken.delete(apiVersionOf(kind));
  const writes = new Map<string, VersionedWrite>();
  for (const other of definition.versions) {
    const apiVersion = apiVersionOf({ definition, version: other });
    if (!spoken.has(apiVersion) || other.converter === undefined) continue;
    const [old = before, next = after] = await other.converter.convert([before, after], signal);
    writes.set(apiVersion, { schema: other.schema, before: other.complete?.(old) ?? old, after: other.complete?.(next) ?? next });
  }
  return writes;
}
