import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Node, type Pod, type PodSpec, pods, type Service } from '@dure/api';
import { FakeClient } from '@dure/client/testing';
import { seededRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import type { Kubelet } from '../kubelet.ts';
import type { Mounter } from '../volumes/mounter.ts';
import type { VolumeManager } from '../volumes/volume-manager.ts';
import { FakeImages, fakeImage } from './fake-images.ts';
import { FakeRuntime } from './fake-runtime.ts';
import { wireKubelet } from './kubelet-wiring.ts';

/** Remembers what it was asked to mount. */
export class FakeMounter implements Mounter {
  readonly mounted = new Map<string, string>();

  async mountTmpfs(target: string, { sizeBytes }: { readonly sizeBytes?: number }): Promise<void> {
    this.mounted.set(target, `tmpfs ${sizeBytes ?? 'unlimited'}`);
  }

  async bindDescriptor(_descriptor: number, target: string): Promise<void> {
    this.mounted.set(target, 'bind');
  }

  async mountOverlay(target: string, lowerDirs: readonly string[]): Promise<void> {
    this.mounted.set(target, `overlay ${lowerDirs.join(':')}`);
  }

  async unmount(target: string): Promise<void> {
    this.mounted.delete(target);
  }

  async mountsBelow(path: string): Promise<readonly string[]> {
    return [...this.mounted.keys()].filter((point) => point === path || point.startsWith(`${path}/`)).reverse();
  }
}

/** A whole node on fakes: what the API wants goes in through `client`, what the runtime does is told through `runtime`. */
export class NodeFixture implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly random = seededRandom(7);
  readonly client = new FakeClient({ clock: this.clock });
  readonly runtime: FakeRuntime;
  readonly images = new FakeImages();
  readonly mounter = new FakeMounter();
  readonly events: { readonly pod: string; readonly type: string; readonly reason: string; readonly message: string }[] = [];
  readonly kubelet: Kubelet;
  readonly volumes: VolumeManager;
  readonly root: string;
  services: readonly Service[] = [];
  nodeObject: Node | undefined;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(root: string, runtime?: FakeRuntime) {
    this.root = root;
    this.runtime = runtime ?? new FakeRuntime(this.clock);
    this.images.present.set('app:1', fakeImage('app:1'));
    const { kubelet, volumes } = wireKubelet({
      client: this.client,
      runtime: this.runtime,
      images: this.images,
      mounter: this.mounter,
      clock: this.clock,
      random: this.random,
      root,
      events: {
        record: (pod: Pod, _container: unknown, type: string, reason: string, message: string) => {
          this.events.push({ pod: pod.metadata.name, type, reason, message });
        },
      },
      services: () => this.services,
      nodeObject: () => this.nodeObject,
      signal: this.#stop.signal,
    });
    this.kubelet = kubelet;
    this.volumes = volumes;
  }

  /** @param former A node whose runtime and disk this one finds. */
  static async start(former?: NodeFixture): Promise<NodeFixture> {
    const root = former?.root ?? (await mkdtemp(join(tmpdir(), `dure-kubelet-${process.pid}-`)));
    const fixture = new NodeFixture(root, former?.runtime);
    fixture.#running = fixture.kubelet.run(fixture.#stop.signal);
    await fixture.settle();
    return fixture;
  }

  /** Puts a Pod into the API and hands it to the kubelet. */
  async create(spec: PodSpec, metadata: Partial<Pod['metadata']> = {}): Promise<Pod> {
    const pod = this.client.put(pods, {
      metadata: { name: 'web', namespace: 'default', ...metadata },
      spec: { nodeName: 'node-a', restartPolicy: 'Always', terminationGracePeriodSeconds: 30, ...spec },
      status: { phase: 'Pending' },
    });
    this.kubelet.upsert(pod);
    await this.settle();
    return pod;
  }

  /** What the watch would do: hands in the API's present state. */
  async sync(name = 'web'): Promise<void> {
    const pod = this.client.peek(pods, `default/${name}`);
    if (pod !== undefined) this.kubelet.upsert(pod);
    await this.settle();
  }

  pod(name = 'web'): Pod {
    const pod = this.client.peek(pods, `default/${name}`);
    if (pod === undefined) throw new Error(`no pod ${name}`);
    return pod;
  }

  reasons(): readonly string[] {
    return this.events.map(({ reason }) => reason);
  }

  /** Lets everything that can happen without time passing happen. File operations need more than a few turns of the loop. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 60; turn += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (turn % 10 === 9) await new Promise<void>((resolve) => setTimeout(resolve, 2));
    }
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (let turn = 0; turn < 400; turn += 1) {
      if (holds()) return;
      await new Promise<void>((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`never came true: ${what}`);
  }

  /** Time passes. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }

  /** Ends the kubelet as a kill would, and leaves runtime and disk as they are. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.root, { recursive: true, force: true });
  }
}
