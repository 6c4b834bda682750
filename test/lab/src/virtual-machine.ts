import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '@dure/test-support';
import type { Emulator } from './emulator.ts';
import { BRIDGE, gatewayAddress, machineAddress } from './lab-network.ts';
import type { VmImage } from './vm-image.ts';

export interface ShellResult {
  /** -1: the machine went away meanwhile. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Disk {
  readonly file: string;
  readonly readOnly: boolean;
}

export interface VmOptions {
  readonly image: VmImage;
  readonly emulator: Emulator;
  /** For sockets and the console's log. */
  readonly directory: string;
  readonly name: string;
  /** From 1; gives the address and the MAC. */
  readonly number: number;
  readonly memoryMiB?: number;
  /** Mounted at /data/vdb, /data/vdc. */
  readonly disks?: readonly Disk[];
  /** Added to the kernel's command line. */
  readonly append?: string;
}

const BOOT_TIMEOUT_MS = 120_000;

/** A QEMU machine by software emulation, with a shell over a serial port. Dispose of it to pull its plug. */
export class VirtualMachine implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly consoleLog: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #pending = new Map<string, (result: ShellResult) => void>();
  #socket: Socket | undefined;
  #sequence = 0;

  private constructor(options: VmOptions, process: ChildProcess) {
    this.name = options.name;
    this.address = machineAddress(options.number);
    this.consoleLog = join(options.directory, `${options.name}.console`);
    this.#process = process;
    this.#exited = new Promise((resolve) => process.on('exit', () => resolve()));
  }

  /** Resolves when the machine's shell answers. */
  static async start(options: VmOptions): Promise<VirtualMachine> {
    const control = join(options.directory, `${options.name}.ctl`);
    const tap = `tap${options.number}`;
    await rm(control, { force: true });
    if (!existsSync(`/proc/sys/net/ipv4/conf/${tap}`)) {
      await runCommand('ip', ['tuntap', 'add', tap, 'mode', 'tap']);
      await runCommand('ip', ['link', 'set', tap, 'master', BRIDGE, 'up']);
    }
    const [program = '', ...leading] = options.emulator.argv;
    const child = spawn(program, [...leading, ...machineArguments(options, control, tap)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: options.emulator.env,
    });
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2000);
    });
    const machine = new VirtualMachine(options, child);
    const timeout = new AbortController();
    const late = sleep(BOOT_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(
      () => `no shell within ${BOOT_TIMEOUT_MS / 1000} s; see ${machine.consoleLog}`,
      () => undefined,
    );
    const failure = await Promise.race([machine.#connect(control), machine.#exited.then(() => `qemu ended: ${complaint}`), late]);
    timeout.abort();
    if (failure !== undefined) {
      await machine.crash();
      throw new Error(`start virtual machine ${options.name}: ${failure}`);
    }
    return machine;
  }

  /** Runs a script by /bin/sh in the machine. */
  sh(script: string): Promise<ShellResult> {
    const id = String(++this.#sequence);
    return new Promise((resolve) => {
      if (this.#socket === undefined) {
        resolve(GONE);
        return;
      }
      this.#pending.set(id, resolve);
      this.#socket.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    });
  }

  /** {@link sh} that must succeed; gives its output. @throws {Error} with what it said. */
  async run(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.sh(script);
    if (code !== 0) throw new Error(`${this.name}: exit ${code}: ${script.slice(0, 200)}\n${stderr}${stdout}`);
    return stdout;
  }

  /** Pulls the plug. What was on its disks since the last sync is in doubt, as with a real one. */
  async crash(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
  }

  /** Resolves with nothing once the shell is ready. */
  #connect(control: string): Promise<undefined> {
    return new Promise((resolve) => {
      const attempt = (): void => {
        const socket = connect(control);
        // The socket appears some time after the process; readline re-emits its errors.
        socket.on('error', () => {
          if (this.#socket === undefined && this.#process.exitCode === null) setTimeout(attempt, 50);
        });
        socket.on('connect', () => {
          this.#socket = socket;
        });
        socket.on('close', () => {
          if (socket !== this.#socket) return;
          this.#socket = undefined;
          for (const settle of this.#pending.values()) settle(GONE);
          this.#pending.clear();
        });
        createInterface({ input: socket })
          .on('error', () => {})
          .on('line', (line) => {
            const [id = '', code = '', stdout = '-', stderr = '-'] = line.split(' ');
            if (id === 'ready') return resolve(undefined);
            this.#pending.get(id)?.({ code: Number(code), stdout: decode(stdout), stderr: decode(stderr) });
            this.#pending.delete(id);
          });
      };
      attempt();
    });
  }
}

const GONE: ShellResult = { code: -1, stdout: '', stderr: 'the machine is gone' };

function decode(text: string): string {
  return text === '-' ? '' : Buffer.from(text, 'base64').toString();
}

function machineArguments(options: VmOptions, control: string, tap: string): readonly string[] {
  const { image, directory, name, number, memoryMiB = 512, disks = [], append = '' } = options;
  const drive = (file: string, index: number, readOnly: boolean): readonly string[] => [
    ...['-drive', `if=none,id=d${index},format=raw,file=${file}${readOnly ? ',readonly=on,file.locking=off' : ''}`],
    ...['-device', `virtio-blk-pci,drive=d${index}`],
  ];
  const kernelLine = `console=ttyS0 quiet panic=-1 lab.name=${name} lab.ip=${machineAddress(number)}/24 lab.gw=${gatewayAddress} ${append}`;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-name', name],
    // TCG always: hardware acceleration hangs on hosts that show /dev/kvm and cannot nest. One processor: more make it slower.
    ...['-M', 'q35', '-cpu', 'max', '-accel', 'tcg', '-smp', '1', '-m', String(memoryMiB), '-no-reboot'],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', kernelLine],
    ...['-serial', `file:${join(directory, `${name}.console`)}`],
    ...drive(image.root, 0, true),
    ...disks.flatMap((disk, index) => drive(disk.file, index + 1, disk.readOnly)),
    ...['-netdev', `tap,id=n0,ifname=${tap},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:77:00:${number.toString(16).padStart(2, '0')}`],
    ...[
      '-device',
      'virtio-serial-pci',
      '-chardev',
      `socket,id=ctl,path=${control},server=on,wait=off`,
      '-device',
      'virtserialport,chardev=ctl,name=lab',
    ],
    ...['-device', 'virtio-rng-pci'],
  ];
}
