import type { ConfigMap, KubeObject, ResourceRef, Secret } from '@dure/api';
import { configMaps, secrets } from '@dure/api';
import { type Client, createInformer, type Informer } from '@dure/client';
import type { Clock, Logger, Random } from '@dure/foundation';
import type { ObjectSource } from '../config/environment.ts';

export interface ObjectCacheOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Ends every watch. */
  readonly signal: AbortSignal;
}

interface Held {
  readonly informer: Informer<KubeObject>;
  readonly stop: AbortController;
  holders: number;
  readonly listeners: Set<() => void>;
}

/** A watch that has not begun by then has failed and waits for its next try; whoever needs the object asks for itself and hears why. */
const FIRST_READ_MS_MAX = 1_000;

/**
 * ConfigMaps and Secrets that Pods of this node refer to, each watched by itself (a node may not read others) while somebody holds it.
 * Reading one that nobody holds asks the API server.
 */
export class ObjectCache implements ObjectSource {
  readonly #options: ObjectCacheOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: ObjectCacheOptions) {
    this.#options = options;
  }

  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.#read(configMaps, namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.#read(secrets, namespace, name);
  }

  /**
   * Watches an object until the returned function is called. `onChange` runs after each change, also when the object appears or goes.
   * Whether it exists is not asked.
   */
  hold(kind: 'ConfigMap' | 'Secret', namespace: string, name: string, onChange: () => void): () => void {
    const key = `${kind}/${namespace}/${name}`;
    const held = this.#held.get(key) ?? this.#begin(key, kind === 'Secret' ? secrets : configMaps, namespace, name);
    held.holders += 1;
    held.listeners.add(onChange);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      held.listeners.delete(onChange);
      held.holders -= 1;
      if (held.holders > 0) return;
      this.#held.delete(key);
      held.stop.abort();
    };
  }

  #begin(key: string, ref: ResourceRef<KubeObject>, namespace: string, name: string): Held {
    const { client, clock, random, log, signal } = this.#options;
    const informer = createInformer<KubeObject>({ client, ref, namespace, fieldSelector: `metadata.name=${name}`, clock, random, log });
    const stop = new AbortController();
    const held: Held = { informer, stop, holders: 0, listeners: new Set() };
    this.#held.set(key, held);
    const tell = (): void => {
      // What is there at the first list is not a change; whoever needs it waits for it.
      if (informer.hasSynced) for (const listener of held.listeners) listener();
    };
    informer.addHandler({ add: tell, update: tell, delete: tell });
    informer.run(AbortSignal.any([signal, stop.signal])).catch((error: unknown) => {
      log.error('watch of a referenced object ended', { object: key, error });
    });
    return held;
  }

  async #read<T extends KubeObject>(ref: ResourceRef<T>, namespace: string, name: string): Promise<T | undefined> {
    const held = this.#held.get(`${ref.kind}/${namespace}/${name}`);
    // The informer was made for this kind; its type is lost in the map only.
    if (held !== undefined && (await this.#isSynced(held))) return held.informer.get(`${namespace}/${name}`) as T | undefined;
    const { client, signal } = this.#options;
    const list = await client.list<T>(ref, { namespace, fieldSelector: `metadata.name=${name}` }, signal);
    return list.items[0];
  }

  async #isSynced(held: Held): Promise<boolean> {
    if (held.informer.hasSynced) return true;
    const { clock, signal } = this.#options;
    const done = new AbortController();
    const stop = AbortSignal.any([signal, held.stop.signal, done.signal]);
    await Promise.race([held.informer.whenSynced(stop), clock.sleep(FIRST_READ_MS_MAX, stop)]).catch(() => undefined);
    done.abort();
    signal.throwIfAborted();
    return held.informer.hasSynced;
  }
}
