import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  busyboxImage,
  eventually,
  Kubectl,
  pushImage,
  RunningProcess,
  runCommand,
  startRegistry,
  type TestRegistry,
} from '@dure/test-support';
import { directoryDisk } from './disk-image.ts';
import { gatewayAddress, makeLabNetwork } from './lab-network.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CLI = join(ROOT, 'apps/cli/bin/dure.mjs');
const PORT = 6443;
const READY_MS = 60_000;
const PACKED_MIB = 128;

/**
 * A control plane from the built programs, a registry and a kubectl on this side of the lab's switch, and the packed programs on a disk for
 * machines on the other side. Dispose of it to end them.
 */
export class LabCluster implements AsyncDisposable {
  readonly kubectl: Kubectl;
  /** Scratch space, gone at disposal. */
  readonly directory: string;
  /** A read-only disk with what `infra/pack.mjs` makes. */
  readonly packedDisk: string;
  readonly server = `https://${gatewayAddress}:${PORT}`;
  readonly controlPlane: RunningProcess;
  readonly #registry: TestRegistry;

  private constructor(directory: string, packedDisk: string, registry: TestRegistry, controlPlane: RunningProcess, kubectl: Kubectl) {
    this.directory = directory;
    this.packedDisk = packedDisk;
    this.#registry = registry;
    this.controlPlane = controlPlane;
    this.kubectl = kubectl;
  }

  /** Resolves when the API server says that it is ready. */
  static async start(): Promise<LabCluster> {
    await makeLabNetwork();
    const directory = await mkdtemp(join(tmpdir(), 'dure-lab-'));
    const packedDisk = await pack(directory);
    const registry = await startRegistry({ address: '0.0.0.0' });
    await pushImage(await busyboxImage(), { url: registry.url, repository: 'busybox', tag: '1' });
    const kubeconfig = join(directory, 'kubeconfig');
    const controlPlane = await RunningProcess.start(process.execPath, [
      join(ROOT, 'apps/control-plane/dist/main.cjs'),
      ...['--data-dir', join(directory, 'server'), '--kubeconfig', kubeconfig],
      ...['--listen', `0.0.0.0:${PORT}`, '--advertise-address', gatewayAddress],
    ]);
    const kubectl = await Kubectl.open(kubeconfig, directory);
    const cluster = new LabCluster(directory, packedDisk, registry, controlPlane, kubectl);
    try {
      await eventually('the control plane is ready', () => kubectl.run(['get', '--raw', '/readyz']), READY_MS);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw new Error(`start control plane: ${controlPlane.output.slice(-4000)}`, { cause: error });
    }
    return cluster;
  }

  /** The reference of busybox, as machines spell it. */
  get image(): string {
    return `${gatewayAddress}:${this.#registry.port}/busybox:1`;
  }

  /** `registries.json` of machines. */
  get registries(): unknown {
    return { [`${gatewayAddress}:${this.#registry.port}`]: { plainHttp: true } };
  }

  /** `dure` as the administrator. */
  async dure(...args: readonly string[]): Promise<string> {
    const { stdout } = await runCommand(process.execPath, [CLI, ...args, '--kubeconfig', join(this.directory, 'kubeconfig')]);
    return stdout.trim();
  }

  joinToken(ttl = '1h'): Promise<string> {
    return this.dure('token', 'create', '--ttl', ttl);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controlPlane.stop();
    await this.#registry[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function pack(directory: string): Promise<string> {
  const packed = join(directory, 'packed');
  await runCommand(process.execPath, [join(ROOT, 'infra/pack.mjs'), packed]);
  const disk = join(directory, 'packed.ext4');
  await directoryDisk(packed, disk, PACKED_MIB);
  await rm(packed, { recursive: true });
  return disk;
}
