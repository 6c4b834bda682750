import { conflict, type JsonObject, type KindDefinition, toJsonText } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { holdForCleanup } from '../custom-resources/definition-deletion.ts';
import { finalizersOf, metaOf, metaText, section } from './object-meta.ts';
import { type DeleteOptions, GRACE_SECONDS_MAX } from './write-options.ts';

/** What a delete does to an object now. */
export type DeletionPlan =
  | { readonly kind: 'remove' }
  /** It is being deleted already, and this request changes nothing. */
  | { readonly kind: 'keep' }
  /** It is marked, and goes when its time or its finalizers are over. */
  | { readonly kind: 'mark'; readonly object: JsonObject };

const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';

/**
 * Decides between removing and marking. Pure but for `object`, which it may change.
 * @param object In the storage version. @throws {StatusError} Conflict: a Namespace that is going already.
 */
export function planDeletion(definition: KindDefinition, object: JsonObject, options: DeleteOptions, nowMs: number): DeletionPlan {
  if (definition.group === '' && definition.resource === 'namespaces') return planNamespace(object, options, nowMs);
  const meta = metaOf(object);
  const before = toJsonText(meta);
  meta.finalizers = propagationFinalizers(finalizersOf(object), options.propagationPolicy);
  if ((meta.finalizers as string[]).length === 0) delete meta.finalizers;

  const deleting = typeof meta.deletionTimestamp === 'string';
  if (!deleting && definition.group === 'apiextensions.k8s.io' && definition.resource === 'customresourcedefinitions')
    holdForCleanup(object, rfc3339Seconds(nowMs));
  const grace = gracePeriod(definition, object, options);
  if (grace > 0) {
    const standing = meta.deletionGracePeriodSeconds;
    if (deleting && typeof standing === 'number' && (options.gracePeriodSeconds === undefined || grace >= standing)) {
      return toJsonText(meta) === before ? { kind: 'keep' } : { kind: 'mark', object };
    }
    const start = deleting && typeof standing === 'number' ? Date.parse(metaText(object, 'deletionTimestamp')) - standing * 1000 : nowMs;
    mark(object, deleting ? start : nowMs, grace);
    return { kind: 'mark', object };
  }
  if (finalizersOf(object).length === 0) return { kind: 'remove' };
  if (deleting) {
    if (meta.deletionGracePeriodSeconds !== 0) meta.deletionGracePeriodSeconds = 0;
    return toJsonText(meta) === before ? { kind: 'keep' } : { kind: 'mark', object };
  }
  mark(object, nowMs, 0);
  return { kind: 'mark', object };
}

/** Seconds that the object is left to end by itself; 0: none. */
function gracePeriod(definition: KindDefinition, object: JsonObject, { gracePeriodSeconds }: DeleteOptions): number {
  const seconds = definition.strategy.gracePeriodSeconds?.(object, gracePeriodSeconds) ?? 0;
  return seconds < 0 ? 1 : Math.min(seconds, GRACE_SECONDS_MAX);
}

function mark(object: JsonObject, startMs: number, graceSeconds: number): void {
  const meta = metaOf(object);
  meta.deletionTimestamp = rfc3339Seconds(startMs + graceSeconds * 1000);
  meta.deletionGracePeriodSeconds = graceSeconds;
  // Deletion changes what is wanted, so the generation counts it where there is one.
  if (typeof meta.generation === 'number') meta.generation += 1;
}

function propagationFinalizers(finalizers: readonly string[], policy: DeleteOptions['propagationPolicy']): string[] {
  if (policy === undefined) return [...finalizers];
  const others = finalizers.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  if (policy === 'Orphan') return [...others, ORPHAN];
  if (policy === 'Foreground') return [...others, FOREGROUND];
  return others;
}

function planNamespace(object: JsonObject, options: DeleteOptions, nowMs: number): DeletionPlan {
  const meta = metaOf(object);
  const { finalizers } = section(object, 'spec');
  const held = Array.isArray(finalizers) && finalizers.length > 0;
  if (typeof meta.deletionTimestamp !== 'string') {
    const own = propagationFinalizers(finalizersOf(object), options.propagationPolicy);
    if (own.length > 0) meta.finalizers = own;
    if (!held && own.length === 0) return { kind: 'remove' };
    meta.deletionTimestamp = rfc3339Seconds(nowMs);
    object.status = { ...section(object, 'status'), phase: 'Terminating' };
    return { kind: 'mark', object };
  }
  if (!held) return finalizersOf(object).length === 0 ? { kind: 'remove' } : { kind: 'keep' };
  throw conflict(
    { group: '', resource: 'namespaces' },
    metaText(object, 'name'),
    'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.',
  );
}
