import { type Pod, pods } from '@dure/api';
import type { Client } from '@dure/client';

/** When a watcher saw a Pod's stages; milliseconds of performance.now(). */
export interface PodTimeline {
  /** Before the request was sent. */
  createdMs: number;
  /** When the API server had answered. */
  answeredMs?: number;
  addedMs?: number;
  scheduledMs?: number;
  runningMs?: number;
  deletedMs?: number;
}

/** Notes when stages of Pods in a namespace are seen by one watch. */
export class PodWatch implements AsyncDisposable {
  readonly timelines = new Map<string, PodTimeline>();
  readonly #client: Client;
  readonly #namespace: string;
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #failure: unknown;

  private constructor(client: Client, namespace: string, resourceVersion: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#watching = this.#follow(resourceVersion).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#failure = error;
      this.#wake();
    });
  }

  static async start(client: Client, namespace: string): Promise<PodWatch> {
    const { metadata } = await client.list(pods, { namespace });
    return new PodWatch(client, namespace, metadata.resourceVersion ?? '');
  }

  /** Creates a Pod of one container. */
  async create({
    name,
    image,
    command,
  }: {
    readonly name: string;
    readonly image: string;
    readonly command: readonly string[];
  }): Promise<PodTimeline> {
    const timeline: PodTimeline = { createdMs: performance.now() };
    this.timelines.set(name, timeline);
    await this.#client.create(pods, {
      metadata: { name, namespace: this.#namespace },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image, command, imagePullPolicy: 'Never' }] },
    });
    timeline.answeredMs = performance.now();
    return timeline;
  }

  /** @throws {Error} The watch failed, or it took longer. */
  async until(what: string, holds: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = setTimeout(() => this.#wake(), timeoutMs);
    const endMs = performance.now() + timeoutMs;
    try {
      while (!holds()) {
        if (this.#failure !== undefined) throw new Error('the watch of Pods ended', { cause: this.#failure });
        if (performance.now() >= endMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #follow(resourceVersion: string): Promise<void> {
    const query = { namespace: this.#namespace, resourceVersion, timeoutSeconds: 3600 };
    for await (const event of this.#client.watch(pods, query, this.#stop.signal)) {
      const nowMs = performance.now();
      if (event.type === 'BOOKMARK') continue;
      const pod = event.object as Pod;
      const timeline = this.timelines.get(pod.metadata.name ?? '');
      if (timeline !== undefined) {
        timeline.addedMs ??= nowMs;
        if (pod.spec?.nodeName !== undefined) timeline.scheduledMs ??= nowMs;
        if (pod.status?.phase === 'Running') timeline.runningMs ??= nowMs;
        if (event.type === 'DELETED') timeline.deletedMs ??= nowMs;
      }
      this.#wake();
    }
    throw new Error('the server ended the watch');
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
