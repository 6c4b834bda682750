import {
  type JsonObject,
  type KindRegistry,
  type KubeObject,
  numberAt,
  objectAt,
  type SchemaBook,
  semanticEqual,
  type ValidatingAdmissionPolicySpec,
} from '@dure/api';
import type { Clock, Logger } from '@dure/foundation';
import type { CacheSet } from '../../registry/cache-set.ts';
import { followCollection } from '../../registry/follow-collection.ts';
import { writeOwnStatus } from '../../registry/own-status.ts';
import type { Writer } from '../../registry/writer.ts';
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

async function judge(deps: PolicyStatusControllerDeps, policy: KubeObject, signal: AbortSignal): Promise<void> {
  const object = policy as unknown as JsonObject;
  const generation = policy.metadata.generation ?? 0;
  if (numberAt(object, 'status', 'observedGeneration') === generation) return;
  const { spec } = policy as unknown as { readonly spec: ValidatingAdmissionPolicySpec };
  const expressionWarnings = typeWarnings(spec, deps.kinds, deps.book);
  const typeChecking = expressionWarnings.length === 0 ? {} : { expressionWarnings };
  const change = {
    group: GROUP,
    resource: RESOURCE,
    object: policy,
    manager: MANAGER,
    // A newer generation is told of by its own event.
    status: (old: JsonObject) =>
      semanticEqual(objectAt(old, 'spec'), objectAt(object, 'spec'))
        ? { ...objectAt(old, 'status'), observedGeneration: generation, typeChecking: typeChecking as unknown as JsonObject }
        : undefined,
  };
  await writeOwnStatus(deps, change, signal);
}
