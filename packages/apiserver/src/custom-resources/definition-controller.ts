import {
  type JsonObject,
  JsonPathError,
  type KindDefinition,
  type KindRegistry,
  KindTakenError,
  kindFromCustomResource,
  objectAt,
  StatusError,
  stringAt,
  stringsAt,
  toJsonText,
} from '@dure/api';
import { type Clock, isAbort, type Logger, messageOf, type Random, rfc3339Seconds } from '@dure/foundation';
import type { Store } from '@dure/store';
import type { WebhookClient } from '../connect/webhook-client.ts';
import type { UserInfo } from '../contract/user.ts';
import type { CacheSet } from '../registry/cache-set.ts';
import { hasCondition, withCondition } from '../registry/conditions.ts';
import { cloneObject } from '../registry/conversion.ts';
import { followCollection } from '../registry/follow-collection.ts';
import { metaOf, metaText } from '../registry/object-meta.ts';
import { callFor } from '../registry/own-call.ts';
import { serverWrite, type UpdateRequest, type Writer } from '../registry/writer.ts';
import { withConversion } from './conversion-webhook.ts';
import { CLEANUP_FINALIZER, planDefinitionStatus, type TakenNames, takenNames } from './definition-status.ts';
import { removeInstances } from './instance-cleanup.ts';

export interface DefinitionControllerDeps {
  readonly store: Store;
  readonly caches: CacheSet;
  readonly kinds: KindRegistry;
  readonly writer: Writer;
  readonly webhooks: WebhookClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const GROUP = 'apiextensions.k8s.io';
const RESOURCE = 'customresourcedefinitions';
const USER: UserInfo = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };
const MANAGER = 'kube-apiserver';

/** A kind that is served for a definition, and what of the definition it was made from. */
interface Served {
  readonly made: string;
  readonly definition: KindDefinition;
}

/**
 * Keeps the registry at what the stored CustomResourceDefinitions say, and their statuses at what the registry does. One loop follows the
 * definitions' cache; a kind is served before its definition says `Established`, so that whoever waited for that finds it.
 */
export class DefinitionController {
  readonly #deps: DefinitionControllerDeps;
  /** By the definition's name; also what was written since the cache was last heard of. */
  readonly #definitions = new Map<string, JsonObject>();
  readonly #served = new Map<string, Served>();
  readonly #cleanups = new Map<string, Promise<void>>();
  #isSynced = false;

  constructor(deps: DefinitionControllerDeps) {
    this.#deps = deps;
  }

  /** Every stored definition that is established is served. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Until `signal` aborts; settles when deletions under way have ended too. */
  async run(signal: AbortSignal): Promise<void> {
    await followCollection(
      this.#deps,
      {
        group: GROUP,
        resource: RESOURCE,
        state: async (objects) => {
          this.#replaceAll(objects.map(({ object }) => object as unknown as JsonObject));
          this.#isSynced = true;
          for (const name of [...this.#definitions.keys()]) await this.#settle(name, signal);
        },
        event: async ({ deleted, object }) => {
          const definition = object.object as unknown as JsonObject;
          if (deleted) this.#forget(metaText(definition, 'name'));
          else this.#learn(definition);
          // Names that this one gave up, or took, concern the others of its group.
          for (const name of this.#namesOf(stringAt(definition, 'spec', 'group'))) await this.#settle(name, signal);
        },
      },
      signal,
    );
    await Promise.allSettled(this.#cleanups.values());
  }

  #replaceAll(definitions: readonly JsonObject[]): void {
    const names = new Set(definitions.map((definition) => metaText(definition, 'name')));
    for (const name of [...this.#definitions.keys()]) if (!names.has(name)) this.#forget(name);
    for (const definition of definitions) this.#learn(definition);
  }

  #learn(definition: JsonObject): void {
    const name = metaText(definition, 'name');
    const known = this.#definitions.get(name);
    // Our own write may be known before the cache shows it.
    if (known !== undefined && Number(metaText(known, 'resourceVersion')) > Number(metaText(definition, 'resourceVersion'))) return;
    this.#definitions.set(name, definition);
    if (hasCondition(definition, 'Established')) this.#serve(name, definition);
    else this.#withdraw(name);
  }

  #forget(name: string): void {
    this.#definitions.delete(name);
    this.#withdraw(name);
  }

  #namesOf(group: string): readonly string[] {
    return [...this.#definitions].filter(([, definition]) => stringAt(definition, 'spec', 'group') === group).map(([name]) => name);
  }

  /** Puts the kind into the registry, unless it is there as it should be. */
  #serve(name: string, definition: JsonObject): void {
    const { kinds, log } = this.#deps;
    const going = metaText(definition, 'deletionTimestamp') !== '';
    const made = toJsonText([metaText(definition, 'uid'), definition.spec, objectAt(definition, 'status', 'acceptedNames') ?? {}, going]);
    if (this.#served.get(name)?.made === made) return;
    try {
      const kind = withConversion(kindFromCustomResource(definition), definition, this.#deps);
      const holder = kinds.groupResource(kind.group, kind.resource);
      if (holder !== undefined && holder !== this.#served.get(name)?.definition) throw new KindTakenError(kind, holder);
      kinds.replace(kind);
      this.#served.set(name, { made, definition: kind });
    } catch (error) {
      if (!(error instanceof KindTakenError) && !(error instanceof JsonPathError)) throw error;
      log.warn('custom resource definition cannot be served', { name, error: error.message });
    }
  }

  #withdraw(name: string): void {
    const served = this.#served.get(name);
    if (served === undefined) return;
    this.#served.delete(name);
    this.#deps.kinds.remove(served.definition.group, served.definition.resource);
  }

  /** Writes the status that the definition should have, and begins to clean up where it is going. */
  async #settle(name: string, signal: AbortSignal): Promise<void> {
    const definition = this.#definitions.get(name);
    if (definition === undefined) return;
    const taken = this.#takenBesides(definition);
    const status = planDefinitionStatus(definition, taken, this.#now());
    if (status !== undefined) {
      const planned = { ...definition, status };
      if (hasCondition(planned, 'Established')) this.#serve(name, planned);
      await this.#write(definition, signal, 'status', (old) => {
        old.status = planDefinitionStatus(old, taken, this.#now()) ?? old.status ?? {};
      });
    }
    if (
      metaText(definition, 'deletionTimestamp') !== '' &&
      stringsAt(objectAt(definition, 'metadata'), 'finalizers').includes(CLEANUP_FINALIZER)
    )
      this.#beginCleanup(name, definition, signal);
  }

  /** What built-in kinds and the group's other definitions are named. */
  #takenBesides(definition: JsonObject): TakenNames {
    const group = stringAt(definition, 'spec', 'group');
    const own = metaText(definition, 'name');
    const others = [...this.#definitions].filter(([name, other]) => name !== own && stringAt(other, 'spec', 'group') === group);
    const { resources, kinds } = takenNames(others.map(([, other]) => other));
    const custom = new Set([...this.#served.values()].map((served) => served.definition));
    const builtin = this.#deps.kinds.list().filter((kind) => kind.group === group && !custom.has(kind));
    return {
      resources: new Set([...resources, ...builtin.flatMap((kind) => [kind.resource, kind.singular, ...kind.shortNames])]),
      kinds: new Set([...kinds, ...builtin.flatMap((kind) => [kind.kind, kind.listKind])]),
    };
  }

  #beginCleanup(name: string, definition: JsonObject, signal: AbortSignal): void {
    if (this.#cleanups.has(name)) return;
    const running = this.#cleanUp(definition, signal)
      .catch((error: unknown) => {
        if (!isAbort(error, signal))
          this.#deps.log.warn('objects of a custom kind could not be removed', { name, error: messageOf(error) });
      })
      .finally(() => this.#cleanups.delete(name));
    this.#cleanups.set(name, running);
  }

  async #cleanUp(definition: JsonObject, signal: AbortSignal): Promise<void> {
    const { store, writer, clock } = this.#deps;
    const terminating = (status: 'True' | 'False', reason: string, message: string) => (old: JsonObject) => {
      old.status = withCondition(objectAt(old, 'status') ?? {}, { type: 'Terminating', status, reason, message }, this.#now());
    };
    // A definition that was never served has no objects; what lies under its name is a built-in kind's.
    if (hasCondition(definition, 'Established')) {
      const text = 'CustomResource deletion is in progress';
      await this.#write(definition, signal, 'status', terminating('True', 'InstanceDeletionInProgress', text));
      const kind = withConversion(kindFromCustomResource(definition), definition, this.#deps);
      await removeInstances(kind, { store, writer, clock, user: USER }, signal);
    }
    await this.#write(definition, signal, 'any', (old) => {
      terminating('False', 'InstanceDeletionCompleted', 'removed all instances')(old);
      const meta = metaOf(old);
      meta.finalizers = stringsAt(meta, 'finalizers').filter((finalizer) => finalizer !== CLEANUP_FINALIZER);
      if ((meta.finalizers as string[]).length === 0) delete meta.finalizers;
    });
  }

  async #write(definition: JsonObject, signal: AbortSignal, part: UpdateRequest['part'], change: (old: JsonObject) => void): Promise<void> {
    const kind = this.#deps.kinds.groupResource(GROUP, RESOURCE);
    if (kind === undefined) return;
    try {
      const call = { ...callFor(kind, definition, USER, signal), ...(part === 'status' ? { subresource: 'status' } : {}) };
      const { object } = await this.#deps.writer.change(call, serverWrite(MANAGER), {
        part,
        retries: true,
        trusted: true,
        transform: (old) => {
          const next = cloneObject(old);
          change(next);
          return next;
        },
      });
      if (part === 'status') this.#learn(object);
    } catch (error) {
      // It went meanwhile; the watch says so too.
      if (!(error instanceof StatusError) || error.reason !== 'NotFound') throw error;
    }
  }

  #now(): string {
    return rfc3339Seconds(this.#deps.clock.now());
  }
}
