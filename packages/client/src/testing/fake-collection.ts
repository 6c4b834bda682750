import { expired, fromJsonText, type JsonObject, type KubeObject, type ResourceRef, toJsonText } from '@dure/api';

export interface FakeChange {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly old: KubeObject | undefined;
}

/** One kind's objects and the changes that led to them. Objects inside are deeply frozen. */
export class FakeCollection {
  readonly ref: ResourceRef;
  readonly objects = new Map<string, KubeObject>();
  readonly #changes: FakeChange[] = [];
  #compactedAt = 0;
  readonly #waiting = new Set<() => void>();

  constructor(ref: ResourceRef) {
    this.ref = ref;
  }

  commit(key: string, change: FakeChange): void {
    if (change.type === 'DELETED') this.objects.delete(key);
    else this.objects.set(key, change.object);
    this.#changes.push(change);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Forgets the changes up to `revision`: watches from before it expire. */
  compact(revision: number): void {
    this.#compactedAt = revision;
    const kept = this.#changes.findIndex((change) => change.revision > revision);
    this.#changes.splice(0, kept < 0 ? this.#changes.length : kept);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Changes after `revision`, in order. @throws {StatusError} Expired. */
  after(revision: number): readonly FakeChange[] {
    if (revision < this.#compactedAt) throw expired(`too old resource version: ${revision} (${this.#compactedAt})`);
    let from = this.#changes.length;
    while (from > 0 && (this.#changes[from - 1]?.revision ?? 0) > revision) from -= 1;
    return this.#changes.slice(from);
  }

  /** Resolves at the next change. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}

/** Freezes `value` and everything in it, so that whoever changes a shared object fails at the line that does. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/** A mutable copy. */
export function copyOf(object: unknown): JsonObject {
  return fromJsonText(toJsonText(object)) as JsonObject;
}
