import { type Draft, type Event, events, isNotFound, type KubeObject, type ObjectReference, StatusError } from '@dure/api';
import { type Clock, isAbort, type Logger, type Random, rfc3339Seconds } from '@dure/foundation';
import type { Client } from './client.ts';

export type EventType = 'Normal' | 'Warning';

/** What happened to which object. `reason` is a short CamelCase word, `message` a sentence for people. */
export interface EventRecorder {
  /** Never blocks and never throws. An event may be dropped: too many waiting, or too many from one source about one object. */
  record(about: ObjectReference, type: EventType, reason: string, message: string): void;
}

export interface EventRecorderOptions {
  readonly client: Client;
  /** Who reports: `kubelet`, `default-scheduler`, ... */
  readonly component: string;
  /** The node, for reporters that live on one. */
  readonly host?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Waiting at most; more are dropped, newest first to be refused. */
const QUEUE_MAX = 1000;
/** Remembered for counting. @see client-go, `tools/record/events_cache.go` */
const REMEMBERED_MAX = 4096;
const BURST = 25;
const REFILL_MS = 300_000;
/** More than this many different messages of one kind within the interval become one combined event. */
const SIMILAR_MAX = 10;
const SIMILAR_INTERVAL_MS = 600_000;
const ATTEMPTS_MAX = 12;
const RETRY_MS = 10_000;

/** A recorder and the loop that writes what it took. */
export interface RunningEventRecorder extends EventRecorder {
  /** Writes events until `signal` aborts. What waits then is dropped. */
  run(signal: AbortSignal): Promise<void>;
}

export function createEventRecorder(options: EventRecorderOptions): RunningEventRecorder {
  return new CorrelatingRecorder(options);
}

/** A reference to `object` as Events carry it. @param of Gives apiVersion and kind, which items of typed lists lack. */
export function referenceTo(
  object: KubeObject,
  of: { readonly group: string; readonly version: string; readonly kind: string },
): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: of.group === '' ? of.version : `${of.group}/${of.version}`,
    kind: of.kind,
    name,
    ...(namespace !== undefined && { namespace }),
    uid,
    resourceVersion,
  };
}

interface Occurrence {
  readonly about: ObjectReference;
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
  readonly at: string;
}

interface Bucket {
  tokens: number;
  refilledAtMs: number;
}

interface Written {
  readonly namespace: string;
  readonly name: string;
  readonly count: number;
  readonly firstTimestamp: string;
}

interface Similar {
  readonly messages: Set<string>;
  lastAtMs: number;
}

/** Upstream's correlation: too many per source and object are dropped, many alike become one, repeats are counted in place. */
class CorrelatingRecorder implements RunningEventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #waiting: Occurrence[] = [];
  readonly #buckets = new Map<string, Bucket>();
  readonly #similar = new Map<string, Similar>();
  readonly #written = new Map<string, Written>();
  #wake: () => void = () => undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(about: ObjectReference, type: EventType, reason: string, message: string): void {
    if (this.#waiting.length >= QUEUE_MAX) {
      this.#dropped += 1;
      if (this.#dropped === 1) this.#options.log.warn('event queue is full, dropping events', { waiting: QUEUE_MAX });
      return;
    }
    this.#waiting.push({ about, type, reason, message, at: rfc3339Seconds(this.#options.clock.now()) });
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const next = this.#waiting.shift();
        if (next === undefined) {
          this.#dropped = 0;
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else {
          await this.#write(next, signal);
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#waiting.length = 0;
    }
  }

  async #write(occurrence: Occurrence, signal: AbortSignal): Promise<void> {
    if (!this.#admitted(occurrence)) return;
    const { id, message } = this.#aggregate(occurrence);
    const { clock, log, random } = this.#options;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      try {
        const before = this.#written.get(id);
        const written = before === undefined ? undefined : await this.#count(before, occurrence, message, signal);
        remember(this.#written, id, written ?? (await this.#create(occurrence, message, signal)));
        return;
      } catch (error) {
        if (signal.aborted || isAbort(error, signal)) return;
        // An answer is final (the namespace is going, the event is refused); only silence is worth another try.
        if (error instanceof StatusError && !isOverload(error)) {
          log.debug('event refused', { reason: occurrence.reason, error });
          return;
        }
        if (attempt === ATTEMPTS_MAX) log.warn('event given up', { reason: occurrence.reason, error });
        else await clock.sleep(RETRY_MS * (attempt === 1 ? random.next() : 1), signal).catch(() => undefined);
      }
    }
  }

  /** @returns `undefined` if the event is gone (expired, deleted) and must be made anew. */
  async #count(before: Written, { at }: Occurrence, message: string, signal: AbortSignal): Promise<Written | undefined> {
    const count = before.count + 1;
    try {
      await this.#options.client.patch<Event>(
        events,
        before,
        { kind: 'strategic', patch: { count, lastTimestamp: at, message } },
        {},
        signal,
      );
      return { ...before, count };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #create({ about, type, reason, at }: Occurrence, message: string, signal: AbortSignal): Promise<Written> {
    const { client, component, host, random } = this.#options;
    const namespace = about.namespace ?? 'default';
    const name = `${about.name ?? 'unknown'}.${Buffer.from(random.bytes(8)).toString('hex')}`;
    const event: Draft<Event> = {
      metadata: { namespace, name },
      involvedObject: about,
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: at,
      lastTimestamp: at,
      source: { component, ...(host !== undefined && { host }) },
      reportingComponent: component,
      reportingInstance: host ?? '',
    };
    await client.create<Event>(events, event, {}, signal);
    return { namespace, name, count: 1, firstTimestamp: at };
  }

  /** One bucket per source and object. */
  #admitted({ about }: Occurrence): boolean {
    const key = [about.kind, about.namespace, about.name, about.uid, about.apiVersion].join('/');
    const nowMs = this.#options.clock.monotonicMs();
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, refilledAtMs: nowMs };
    const refill = (nowMs - bucket.refilledAtMs) / REFILL_MS;
    bucket.tokens = Math.min(bucket.tokens + refill, BURST);
    bucket.refilledAtMs = nowMs;
    remember(this.#buckets, key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #aggregate({ about, type, reason, message }: Occurrence): { readonly id: string; readonly message: string } {
    const group = [about.kind, about.namespace, about.name, about.uid, about.fieldPath, type, reason].join('/');
    const nowMs = this.#options.clock.monotonicMs();
    const known = this.#similar.get(group);
    const similar =
      known !== undefined && nowMs - known.lastAtMs <= SIMILAR_INTERVAL_MS ? known : { messages: new Set<string>(), lastAtMs: nowMs };
    similar.messages.add(message);
    similar.lastAtMs = nowMs;
    remember(this.#similar, group, similar);
    if (similar.messages.size < SIMILAR_MAX) return { id: `${group}/${message}`, message };
    // Which messages there were no longer matters, only that there are many; this keeps the set small.
    const [first] = similar.messages;
    if (first !== undefined && first !== message) similar.messages.delete(first);
    return { id: `${group}/combined`, message: `(combined from similar events): ${message}` };
  }
}

/** The server will answer otherwise in a moment. */
function isOverload({ status }: StatusError): boolean {
  return status.code === 429 || status.code >= 500;
}

/** Keeps the newest {@link REMEMBERED_MAX} entries. */
function remember<V>(entries: Map<string, V>, key: string, value: V): void {
  entries.delete(key);
  entries.set(key, value);
  if (entries.size <= REMEMBERED_MAX) return;
  const [oldest] = entries.keys();
  if (oldest !== undefined) entries.delete(oldest);
}
