import { type JsonObject, type KindRegistry, type KubeObject, StatusError } from '@dure/api';
import { SYSTEM_USER } from '../contract/user.ts';
import { cloneObject } from './conversion.ts';
import { callFor } from './own-call.ts';
import { serverWrite, type Writer } from './writer.ts';

export interface OwnStatusChange {
  readonly group: string;
  readonly resource: string;
  /** Whose status is written, and only while it is the same object. */
  readonly object: KubeObject;
  /** Who is said to own what is written. */
  readonly manager: string;
  /** The status from what stands there; `undefined`: it stays as it is. */
  status(old: JsonObject): JsonObject | undefined;
}

/** Writes the status of an object for a part of the server. @returns False where the object went, or another of its name came: its watch says so too. */
export async function writeOwnStatus(
  { kinds, writer }: { readonly kinds: KindRegistry; readonly writer: Writer },
  { group, resource, object, manager, status }: OwnStatusChange,
  signal: AbortSignal,
): Promise<boolean> {
  const kind = kinds.groupResource(group, resource);
  if (kind === undefined) return false;
  try {
    const call = { ...callFor(kind, object as unknown as JsonObject, SYSTEM_USER, signal), subresource: 'status' };
    await writer.change(call, serverWrite(manager), {
      part: 'status',
      retries: true,
      trusted: true,
      preconditions: { uid: object.metadata.uid },
      transform(old) {
        const next = cloneObject(old);
        const changed = status(old);
        if (changed !== undefined) next.status = changed;
        return next;
      },
    });
    return true;
  } catch (error) {
    if (!(error instanceof StatusError) || (error.reason !== 'NotFound' && error.reason !== 'Conflict')) throw error;
    return false;
  }
}
