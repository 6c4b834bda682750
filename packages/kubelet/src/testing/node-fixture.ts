import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Node, Pod, PodSpec, Service } from '@dure/api';
import { pods } from '@dure/api';
import { FakeClient } from '@dure/client/testing';
import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { ImageManager } from '../images/image-manager.ts';
import { Kubelet } from '../kubelet.ts';
import { ObjectCache } from '../objects/object-cache.ts';
import type { NodeFacts } from '../pod-deps.ts';
import { PodStore } from '../pod-store.ts';
import { ProbeManager } from '../probes/probe-manager.ts';
import { StatusManager } from '../status/status-manager.ts';
import type { Mounter } from '../volumes/mounter.ts';
import { VolumeManager } from '../volumes/volume-manager.ts';
import { FakeImages, fakeImage } from './fake-images.ts';
import { FakeRuntime } from './fake-runtime.ts';

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

export const FAKE_NODE: NodeFacts = {
  name: 'node-a',
  hostname: 'node-a',
  ips: () => ['192.0.2.10'],
  memoryBytes: 8 * 2 ** 30,
  allocatable: () => ({ cpu: '4', memory: '8Gi', pods: '110' }),
  clusterDomain: 'cluster.local',
  clusterDns: ['10.43.0.10'],
  resolver: async () => ({ nameservers: ['192.0.2.1'], searches: ['example.org'], options: [] }),
  hostsFile: async () => '127.0.0.1 localhost\n',
  podPidsMax: undefined,
};

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
    const { clock, random, client } = this;
    const log = silentLogger;
    const { signal } = this.#stop;
    const dirs = { pods: join(root, 'pods'), logs: join(root, 'logs'), memory: join(root, 'memory'), seccomp: join(root, 'seccomp') };
    const objects = new ObjectCache({ client, clock, random, log, signal });
    const events = {
      record: (pod: Pod, _container: unknown, type: string, reason: string, message: string) => {
        this.events.push({ pod: pod.metadata.name, type, reason, message });
      },
    };
    const images = new ImageManager({ images: this.images, objects, events, clock, hostImage: { hide: ['/root'] } });
    const facts = (pod: Pod) => ({
      podIPs: pod.status?.podIPs?.map(({ ip }) => ip) ?? [],
      hostIPs: FAKE_NODE.ips(),
      allocatable: FAKE_NODE.allocatable(),
    });
    this.volumes = new VolumeManager({
      client,
      objects,
      mounter: this.mounter,
      imageLayers: (pod, volume, stop) => images.layersOf(pod, volume.image?.reference ?? '', volume.image?.pullPolicy, stop),
      clock,
      random,
      log,
      podsDir: dirs.pods,
      memoryDir: dirs.memory,
      facts,
    });
    const probes = new ProbeManager({
      runtime: this.runtime,
      events,
      clock,
      random,
      log,
      onChange: (uid) => this.kubelet.probeChanged(uid),
    });
    this.kubelet = new Kubelet({
      client,
      runtime: this.runtime,
      images,
      volumes: this.volumes,
      objects,
      services: async () => this.services,
      status: new StatusManager({ client, clock, log, signal }),
      probes,
      events,
      node: FAKE_NODE,
      dirs,
      clock,
      random,
      log,
      nodeObject: () => this.nodeObject,
      store: new PodStore(dirs.pods, log),
      allowedSysctls: new Set(),
    });
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
