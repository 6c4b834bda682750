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
import { type Clock, isAbort, type Logger, messageOf } from '@dure/foundation';
import { SYSTEM_USER } from '../../contract/user.ts';
import type { CacheSet } from '../../registry/cache-set.ts';
import { cloneObject } from '../../registry/conversion.ts';
import { callFor } from '../../registry/own-call.ts';
import { resourcePrefix } from '../../registry/storage-key.ts';
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
const RETRY_MS = 250;

/**
 * Checks each ValidatingAdmissionPolicy against the kinds it names, and writes what it finds and which generation it saw into the status.
 * Upstream does this in the controller manager; the kinds and their schemas are known here.
 */
export async function runPolicyStatusController(deps: PolicyStatusControllerDeps, signal: AbortSignal): Promise<void> {
  const { caches, clock, log } = deps;
  while (!signal.aborted) {
    try {
      const cache = caches.cache(GROUP, RESOURCE);
      await cache.ready(signal);
      const watch = cache.watch(resourcePrefix(GROUP, RESOURCE));
      const close = (): void => watch.close();
      signal.addEventListener('abort', close, { once: true });
      try {
        for (const { object } of watch.initial) await judge(deps, object, signal);
        for await (const item of watch.events) if (item.kind === 'event' && !item.deleted) await judge(deps, item.object.object, signal);
      } finally {
        signal.removeEventListener('abort', close);
        watch.close();
      }
    } catch (error) {
      if (isAbort(error, signal)) return;
      log.warn('the status of admission policies could not be written', { error: messageOf(error) });
    }
    await clock.sleep(RETRY_MS, signal).catch(() => undefined);
  }
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
