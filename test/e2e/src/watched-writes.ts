import { setTimeout as sleep } from 'node:timers/promises';
import { type ConfigMap, configMaps, isAlreadyExists, isNotFound } from '@dure/api';
import { type Client, createClient, createInformer, createNetworkTransport, type Informer, loadKubeconfig } from '@dure/client';
import { silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { eventually } from '@dure/test-support';

export interface WatchedWritesResult {
  /** Names to resource versions: what was acknowledged last, what the server lists, and what the informer holds. Deleted ones are absent. */
  readonly acknowledged: ReadonlyMap<string, string>;
  readonly listed: ReadonlyMap<string, string>;
  readonly informed: ReadonlyMap<string, string>;
  /** What handlers were told that does not follow from what they were told before. */
  readonly contradictions: readonly string[];
  /** How many objects came and went, and of how many of each handlers were told. */
  readonly made: number;
  readonly removed: number;
  readonly toldMade: number;
  readonly toldRemoved: number;
}

const NAMESPACE = 'default';
const PREFIX = 'watched-';
const PAUSE_MS = 5;

/**
 * ConfigMaps that are made, changed and, one in three, deleted, one after the other until `stop`, and an informer that follows them from the first.
 * A write that failed is made again until it is acknowledged, whatever became of the one before.
 */
export class WatchedWrites {
  readonly #client: Client;
  readonly #transport: AsyncDisposable;
  readonly #informer: Informer<ConfigMap>;
  readonly #stopWriting = new AbortController();
  readonly #stopInformer = new AbortController();
  readonly #acknowledged = new Map<string, string>();
  readonly #told = new Map<string, ConfigMap>();
  readonly #contradictions: string[] = [];
  readonly #writing: Promise<void>;
  readonly #informing: Promise<void>;
  #made = 0;
  #removed = 0;
  #toldMade = 0;
  #toldRemoved = 0;

  private constructor(client: Client, transport: AsyncDisposable) {
    this.#client = client;
    this.#transport = transport;
    const parts = { clock: systemClock, random: systemRandom, log: silentLogger };
    this.#informer = createInformer({ client, ref: configMaps, namespace: NAMESPACE, ...parts });
    this.#informer.addHandler({
      add: (object) => this.#wasAdded(object),
      update: (object, old) => this.#wasUpdated(object, old),
      delete: (last) => this.#wasDeleted(last),
    });
    this.#informing = this.#informer.run(this.#stopInformer.signal);
    this.#writing = this.#write();
  }

  static async start(kubeconfig: string): Promise<WatchedWrites> {
    const transport = createNetworkTransport(await loadKubeconfig(kubeconfig));
    return new WatchedWrites(createClient(transport, { userAgent: 'dure-test' }), transport);
  }

  /** How many objects have been made so far. */
  get made(): number {
    return this.#made;
  }

  async stop(): Promise<WatchedWritesResult> {
    this.#stopWriting.abort();
    await this.#writing;
    const { items } = await this.#client.list(configMaps, { namespace: NAMESPACE });
    const listed = versions(items);
    const informed = (): ReadonlyMap<string, string> => versions(this.#informer.list());
    await eventually('the informer to hold what the server has', async () =>
      JSON.stringify([...informed()]) === JSON.stringify([...listed]) ? true : undefined,
    ).catch(() => undefined); // The caller compares, and shows the difference.
    this.#stopInformer.abort();
    await this.#informing;
    const result = { acknowledged: sorted(this.#acknowledged), listed, informed: informed(), contradictions: this.#contradictions };
    await Promise.all(
      items.filter(isOurs).map(({ metadata: { name } }) => this.#client.delete(configMaps, { namespace: NAMESPACE, name })),
    );
    await this.#transport[Symbol.asyncDispose]();
    return { ...result, made: this.#made, removed: this.#removed, toldMade: this.#toldMade, toldRemoved: this.#toldRemoved };
  }

  async #write(): Promise<void> {
    for (let number = 0; !this.#stopWriting.signal.aborted; number += 1) {
      const name = `${PREFIX}${number}`;
      const key = { namespace: NAMESPACE, name };
      await this.#untilDone(() =>
        this.#client
          .create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: key, data: { state: 'made' } })
          .catch((error: unknown) => {
            if (!isAlreadyExists(error)) throw error;
          }),
      );
      const patch = { kind: 'merge', patch: { data: { state: 'changed' } } } as const;
      const changed = await this.#untilDone(() => this.#client.patch(configMaps, key, patch));
      this.#made += 1;
      this.#acknowledged.set(name, changed.metadata.resourceVersion);
      if (number % 3 === 0) {
        await this.#untilDone(() =>
          this.#client.delete(configMaps, key).catch((error: unknown) => {
            if (!isNotFound(error)) throw error;
          }),
        );
        this.#removed += 1;
        this.#acknowledged.delete(name);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #untilDone<T>(write: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await write();
      } catch {
        await sleep(PAUSE_MS);
      }
    }
  }

  #wasAdded(object: ConfigMap): void {
    if (!isOurs(object)) return;
    this.#toldMade += 1;
    if (this.#told.has(object.metadata.uid)) this.#contradictions.push(`${object.metadata.name} came twice`);
    this.#told.set(object.metadata.uid, object);
  }

  #wasUpdated(object: ConfigMap, old: ConfigMap): void {
    if (!isOurs(object)) return;
    const { name, uid } = object.metadata;
    if (this.#told.get(uid) !== old) this.#contradictions.push(`${name} was changed from another state than was told`);
    if (old.data?.state === 'changed' && object.data?.state === 'made') this.#contradictions.push(`${name} went back in time`);
    this.#told.set(uid, object);
  }

  #wasDeleted(last: ConfigMap): void {
    if (!isOurs(last)) return;
    this.#toldRemoved += 1;
    if (!this.#told.delete(last.metadata.uid)) this.#contradictions.push(`${last.metadata.name} went without having come`);
  }
}

function isOurs({ metadata }: ConfigMap): boolean {
  return metadata.name.startsWith(PREFIX);
}

function versions(objects: readonly ConfigMap[]): ReadonlyMap<string, string> {
  return sorted(new Map(objects.filter(isOurs).map(({ metadata }) => [metadata.name, metadata.resourceVersion])));
}

function sorted(map: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}
