import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Kubectl, runCommand, type TestRegistry } from '@dure/test-support';
import { TestCluster } from './cluster.ts';
import { ownRunDirectory } from './own-run-directory.ts';
import { registriesFor, registryWithImages } from './web-cluster.ts';

export interface OneNodeOptions {
  /** `registries.json`'s other entries. */
  readonly registries?: Readonly<Record<string, unknown>>;
}

/** A registry with images and a cluster of one node, which stands in the machine's own network. */
export class OneNode implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly registry: TestRegistry;
  /** The node's name, which no other cluster on this machine has: nodes' cgroups are named after them. */
  readonly node: string;
  /** For the test's own files. */
  readonly scratch: string;

  private constructor(cluster: TestCluster, registry: TestRegistry, node: string, scratch: string) {
    this.cluster = cluster;
    this.registry = registry;
    this.node = node;
    this.scratch = scratch;
  }

  static async start({ registries = {} }: OneNodeOptions = {}): Promise<OneNode> {
    await ownRunDirectory();
    await runCommand('ip', ['link', 'set', 'lo', 'up']);
    const registry = await registryWithImages();
    const scratch = await mkdtemp(join(tmpdir(), 'dure-e2e-files-'));
    const node = scratch.replace(/^.*-/, 'one-').toLowerCase();
    try {
      const cluster = await TestCluster.start({
        nodes: 1,
        registries: { ...registriesFor(registry, '127.0.0.1'), ...registries },
        hostname: node,
      });
      return new OneNode(cluster, registry, node, scratch);
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  get kubectl(): Kubectl {
    return this.cluster.kubectl;
  }

  /** An image of the registry, as Pods name it. */
  image(name: string): string {
    return `${this.registry.host}/${name}`;
  }

  async ready(...pods: readonly string[]): Promise<void> {
    await this.kubectl.run(['wait', '--for=condition=Ready', '--timeout=60s', ...pods.map((name) => `pod/${name}`)]);
  }

  /** What a shell script in a container says. */
  inside(pod: string, script: string, container?: string): Promise<string> {
    return this.kubectl.run(['exec', pod, ...(container === undefined ? [] : ['-c', container]), '--', 'sh', '-c', script]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
    await rm(this.scratch, { recursive: true, force: true });
  }
}
