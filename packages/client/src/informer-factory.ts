import type { KubeObject, ResourceRef } from '@dure/api';
import { aborted, type Clock, type Logger, type Random } from '@dure/foundation';
import type { Client } from './client.ts';
import { createInformer, type Informer, type InformerOptions } from './informer.ts';

export interface InformerFactoryOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** For every informer. @see InformerOptions.transform */
  readonly transform?: <T extends KubeObject>(object: T) => T;
  readonly pageSize?: number;
  readonly watchList?: boolean;
}

/** Narrows an informer. Informers with equal selections are one. */
export type InformerSelection = Pick<InformerOptions<KubeObject>, 'namespace' | 'labelSelector' | 'fieldSelector'>;

/** One informer per kind and selection in this process, whoever asks for it and however often. */
export interface InformerFactory {
  /** The shared informer; started at once if the factory runs already. */
  informer<T extends KubeObject>(ref: ResourceRef<T>, selection?: InformerSelection): Informer<T>;
  /** Runs every informer asked for before and during the run, until `signal` aborts and all have ended. @throws {Error} It runs already. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when all informers asked for so far hold their first full state. @throws the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
}

export function createInformerFactory(options: InformerFactoryOptions): InformerFactory {
  return new SharingFactory(options);
}

class SharingFactory implements InformerFactory {
  readonly #options: InformerFactoryOptions;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  #run: { readonly signal: AbortSignal; readonly ended: Promise<void>[] } | undefined;

  constructor(options: InformerFactoryOptions) {
    this.#options = options;
  }

  informer<T extends KubeObject>(ref: ResourceRef<T>, selection: InformerSelection = {}): Informer<T> {
    const { namespace = '', labelSelector = '', fieldSelector = '' } = selection;
    const id = [ref.group, ref.version, ref.resource, namespace, labelSelector, fieldSelector].join('\n');
    const existing = this.#informers.get(id);
    // The key holds the reference, and the reference determines the type.
    if (existing !== undefined) return existing as unknown as Informer<T>;
    const informer = createInformer<T>({ ...this.#options, ref, ...selection });
    this.#informers.set(id, informer as unknown as Informer<KubeObject>);
    if (this.#run !== undefined && !this.#run.signal.aborted) this.#run.ended.push(informer.run(this.#run.signal));
    return informer;
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#run !== undefined) throw new Error('the informer factory runs already');
    const run = { signal, ended: [...this.#informers.values()].map((informer) => informer.run(signal)) };
    this.#run = run;
    try {
      await aborted(signal);
      await Promise.all(run.ended);
    } finally {
      this.#run = undefined;
    }
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.whenSynced(signal)));
  }
}
