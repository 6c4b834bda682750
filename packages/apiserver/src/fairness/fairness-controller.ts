import { type FlowSchema, type JsonObject, type KindRegistry, objectAt, type PriorityLevelConfiguration, semanticEqual } from '@dure/api';
import { type Clock, isAbort, type Logger, messageOf, rfc3339Seconds } from '@dure/foundation';
import type { CacheSet } from '../registry/cache-set.ts';
import { type Condition, withCondition } from '../registry/conditions.ts';
import { followCollection } from '../registry/follow-collection.ts';
import { writeOwnStatus } from '../registry/own-status.ts';
import type { Writer } from '../registry/writer.ts';
import type { Fairness } from './fairness.ts';

export interface FairnessControllerDeps {
  readonly fairness: Fairness;
  readonly kinds: KindRegistry;
  readonly caches: CacheSet;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}

const GROUP = 'flowcontrol.apiserver.k8s.io';
const SCHEMAS = 'flowschemas';
const LEVELS = 'prioritylevelconfigurations';
const MANAGER = 'api-priority-and-fairness-config-consumer-v1';
const RETRY_MS = 250;

/** Keeps fairness at what is stored, and says of each FlowSchema whether its level is there. */
export class FairnessController {
  readonly #deps: FairnessControllerDeps;
  #isSynced = false;
  #isStale = false;
  #settling: Promise<void> | undefined;

  constructor(deps: FairnessControllerDeps) {
    this.#deps = deps;
  }

  /** What was stored at the start is in force. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Until `signal` aborts; settles when everything that it started has ended. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#follow(SCHEMAS, signal), this.#follow(LEVELS, signal)]);
    await this.#settling;
  }

  #follow(resource: string, signal: AbortSignal): Promise<void> {
    const mark = (): void => this.#mark(signal);
    return followCollection(this.#deps, { group: GROUP, resource, state: mark, event: mark }, signal);
  }

  #mark(signal: AbortSignal): void {
    this.#isStale = true;
    this.#settling ??= this.#settle(signal).finally(() => {
      this.#settling = undefined;
    });
  }

  async #settle(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (this.#isStale && !signal.aborted) {
      this.#isStale = false;
      const [schemas, levels] = [this.#stored<FlowSchema>(SCHEMAS), this.#stored<PriorityLevelConfiguration>(LEVELS)];
      // The other cache marks when it is filled.
      if (schemas === undefined || levels === undefined) return;
      this.#deps.fairness.configure(schemas, levels);
      this.#isSynced = true;
      const names = new Set(levels.map(({ metadata }) => metadata.name));
      try {
        for (const schema of schemas) await this.#write(schema, danglingCondition(schema, names), signal);
      } catch (error) {
        if (isAbort(error, signal)) return;
        log.warn('the status of a FlowSchema could not be written', { error: messageOf(error) });
        this.#isStale = true;
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  #stored<T>(resource: string): readonly T[] | undefined {
    const cache = this.#deps.caches.cache(GROUP, resource);
    return cache.isReady ? [...cache.objects.values()].map(({ object }) => object as unknown as T) : undefined;
  }

  async #write(schema: FlowSchema, condition: Condition, signal: AbortSignal): Promise<void> {
    const now = rfc3339Seconds(this.#deps.clock.now());
    const status = objectAt(schema as unknown as JsonObject, 'status') ?? {};
    if (semanticEqual(withCondition(status, condition, now), status)) return;
    const change = {
      group: GROUP,
      resource: SCHEMAS,
      object: schema,
      manager: MANAGER,
      status: (old: JsonObject) => withCondition(objectAt(old, 'status') ?? {}, condition, now),
    };
    await writeOwnStatus(this.#deps, change, signal);
  }
}

/** Whether the level that `schema` names is among `levels`, in upstream's words. */
export function danglingCondition({ spec }: FlowSchema, levels: ReadonlySet<string>): Condition {
  const { name } = spec.priorityLevelConfiguration;
  const of = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(name)}`;
  return levels.has(name)
    ? { type: 'Dangling', status: 'False', reason: 'Found', message: `${of} and it exists` }
    : { type: 'Dangling', status: 'True', reason: 'NotFound', message: `${of} but there is no such object` };
}
