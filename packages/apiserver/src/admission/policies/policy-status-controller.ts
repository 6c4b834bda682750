import {
  type JsonObject,
  type KindRegistry,
  type KubeObject,
  numberAt,
  objectAt,
  type SchemaBook,
  StatusError,
  semanticEqual,
  type ValidatingAdmissionPolicySpec,
} from '@dure/api';
import type { Clock, Logger } from '@dure/foundation';
import { SYSTEM_USER } from '../../contract/user.ts';
import type { CacheSet } from '../../registry/cache-set.ts';
import { cloneObject } from '../../registry/conversion.ts';
import { followCollection } from '../../registry/follow-collection.ts';
import { callFor } from '../../registry/own-call.ts';
import { serverWrite, type Writer } from '../../registry/writer.ts';
import { typeWarnings } from './type-checking.ts';

export interface PolicyStatusControllerDeps {
  readonly kinds: KindRegistry;
  readonly book: SchemaBook;
  readonly caches: CacheSet;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}

const GROUP = 'admissionregistration.k8s.io';
const RESOURCE = 'validatingadmissionpolicies';
const MANAGER = 'validatingadmissionpolicy-status';

/**
 * Checks each ValidatingAdmissionPolicy against the kinds it names, and writes what it finds and which generation it saw into the status.
 * Upstream does this in the controller manager; the kinds and their schemas are known here.
 */
export function runPolicyStatusController(deps: PolicyStatusControllerDeps, signal: AbortSignal): Promise<void> {
  return followCollection(
    deps,
    {
      group: GROUP,
      resource: RESOURCE,
      async state(objects) {
        for (const { object } of objects) await judge(deps, object, signal);
      },
      async event({ deleted, object }) {
        if (!deleted) await judge(deps, object.object, signal);
      },
    },
    signal,
  );
}

async function judge({ kinds, book, writer }: PolicyStatusControllerDeps, policy: KubeObject, signal: AbortSignal): Promise<void> {
  const object = policy as unknown as JsonObject;
  const kind = kinds.groupResource(GROUP, RESOURCE);
  const generation = policy.metadata.generation ?? 0;
  if (kind === undefined || numberAt(object, 'status', 'observedGeneration') === generation) return;
  const expressionWarnings = typeWarnings((policy as unknown as { readonly spec: ValidatingAdmissionPolicySpec }).spec, kinds, book);
  const typeChecking = expressionWarnings.length === 0 ? {} : { expressionWarnings };
  try {
    await writer.change({ ...callFor(kind, object, SYSTEM_USER, signal), subresource: 'status' }, serverWrite(MANAGER), {
      part: 'status',
      retries: true,
      trusted: true,
      preconditions: { uid: policy.metadata.uid },
      transform: (old) => {
        const next = cloneObject(old);
        // A newer generation is told of by its own event.
        if (!semanticEqual(objectAt(old, 'spec'), objectAt(object, 'spec'))) return next;
        next.status = { ...objectAt(old, 'status'), observedGeneration: generation, typeChecking: typeChecking as unknown as JsonObject };
        return next;
      },
    });
  } catch (error) {
    // It went, or another of its name came; the watch says so too.
    if (!(error instanceof StatusError) || (error.reason !== 'NotFound' && error.reason !== 'Conflict')) throw error;
  }
}
