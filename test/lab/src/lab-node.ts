import { eventually } from '@dure/test-support';
import { emulator } from './emulator.ts';
import type { LabCluster } from './lab-cluster.ts';
import { type ShellResult, VirtualMachine } from './virtual-machine.ts';
import { vmImage } from './vm-image.ts';

/** Where the packed programs lie in a machine before they are installed. */
export const PACKED = '/data/vdb';
const INSTALL = `sh ${PACKED}/infra/install.sh`;

export interface LabNodeOptions {
  readonly name: string;
  /** From 1; unlike that of any other machine of the test. */
  readonly number: number;
  /** A disk for what Dure keeps, which outlives the machine. Default: memory. */
  readonly stateDisk?: string;
  /** Added to the kernel's command line. */
  readonly append?: string;
  /** Run before anything of Dure. */
  readonly setUp?: string;
}

export interface NodeShape {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly nodeInfo: { readonly bootID: string };
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
  };
}

type Program = 'agent' | 'proxy';

const READY_MS = 120_000;
const MEMORY_MIB = 768;

/** A machine onto which `infra/install.sh` puts an agent and a proxy. Dispose of it to pull its plug. */
export class LabNode implements AsyncDisposable {
  readonly name: string;
  readonly machine: VirtualMachine;
  readonly #cluster: LabCluster;
  /** What the installer said to start. */
  readonly #commands = new Map<Program, string>();

  private constructor(name: string, machine: VirtualMachine, cluster: LabCluster) {
    this.name = name;
    this.machine = machine;
    this.#cluster = cluster;
  }

  /** Resolves when the machine's shell answers; nothing is installed then. */
  static async boot(cluster: LabCluster, options: LabNodeOptions): Promise<LabNode> {
    const { name, number, stateDisk, append = '', setUp } = options;
    const machine = await VirtualMachine.start({
      image: await vmImage(),
      emulator: await emulator(),
      directory: cluster.directory,
      name,
      number,
      memoryMiB: MEMORY_MIB,
      append,
      disks: [{ file: cluster.packedDisk, readOnly: true }, ...(stateDisk === undefined ? [] : [{ file: stateDisk, readOnly: false }])],
    });
    if (stateDisk !== undefined) await machine.run('mkdir -p /var/lib/dure && mount --bind /data/vdc /var/lib/dure');
    if (setUp !== undefined) await machine.run(setUp);
    const registries = JSON.stringify(cluster.registries);
    await machine.run(`mkdir -p /etc/dure && cat > /etc/dure/registries.json <<'END'\n${registries}\nEND`);
    return new LabNode(name, machine, cluster);
  }

  /** Runs the installer without judging it. */
  tryInstall(...args: readonly string[]): Promise<ShellResult> {
    return this.machine.sh(`${INSTALL} ${args.join(' ')}`);
  }

  /** Installs agent and proxy; they do not run yet, for no init that the installer knows runs here. @param token Absent: it joined before. */
  async install({ token, agent = [] }: { readonly token?: string; readonly agent?: readonly string[] } = {}): Promise<void> {
    const said = await this.machine.run(
      `${INSTALL} --server ${this.#cluster.server} --node-name ${this.name} ${token === undefined ? '' : `--token ${token}`} -- ${agent.join(' ')}`,
    );
    for (const [program, name] of [
      ['agent', 'node-agent'],
      ['proxy', 'service-proxy'],
    ] as const) {
      const command = said.split('\n').find((line) => line.startsWith('  ') && line.includes(`${name}/dist/main.cjs`));
      if (command === undefined) throw new Error(`the installer does not say how to start ${name}:\n${said}`);
      this.#commands.set(program, command.trim());
    }
  }

  /** Starts what the installer said, as it said. */
  async start(program: Program): Promise<void> {
    const command = this.#commands.get(program);
    if (command === undefined) throw new Error('start: not installed');
    // Ends only as a whole: the shell replaces itself by the program.
    await this.machine.run(`setsid sh -c '${command}' >> /var/log/${program}.log 2>&1 & echo $! > /run/${program}.pid`);
  }

  /** Kills it without a warning. */
  async kill(program: Program): Promise<void> {
    await this.machine.run(
      `pid=$(cat /run/${program}.pid); kill -9 $pid; while [ -d /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.1; done`,
    );
  }

  /** Installs, starts both, and waits until the Node is ready. */
  async join(options: { readonly token?: string; readonly agent?: readonly string[] }): Promise<void> {
    await this.install(options);
    await this.start('agent');
    await this.ready();
    await this.start('proxy');
  }

  /** Waits until the API server calls the Node of this very boot ready. */
  async ready(): Promise<NodeShape> {
    const bootID = (await this.machine.run('cat /proc/sys/kernel/random/boot_id')).trim();
    try {
      return await eventually(
        `node ${this.name} is ready`,
        async () => {
          const node = await this.#cluster.kubectl.json<NodeShape>(['get', 'node', this.name]);
          const ready = node.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
          return ready && node.status.nodeInfo.bootID === bootID ? node : undefined;
        },
        READY_MS,
      );
    } catch (error) {
      throw new Error(`node ${this.name} is not ready; its agent says:\n${await this.log('agent')}`, { cause: error });
    }
  }

  async log(program: Program): Promise<string> {
    return (await this.machine.sh(`tail -c 6000 /var/log/${program}.log`)).stdout;
  }

  /** A file of a Pod's cgroup, or of one of its containers'. @param container Its runtime id. */
  async cgroupFile(podUid: string, file: string, container?: string): Promise<string> {
    const directory = `$(find /sys/fs/cgroup/dure/${this.name}/kubepods -type d -name 'pod${podUid}')`;
    return (await this.machine.run(`cat ${directory}/${container === undefined ? '' : `${container}/`}${file}`)).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine.crash();
  }
}
