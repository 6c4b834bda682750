import { copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  cacheDirectory,
  cachedDirectory,
  cacheKey,
  downloadClosure,
  packageOf,
  prepareRoot,
  runCommand,
  unpackPackages,
} from '@dure/test-support';

/** Files that a virtual machine boots from. Read-only: any number of machines share them. */
export interface VmImage {
  readonly kernel: string;
  readonly initrd: string;
  readonly root: string;
}

const GUEST = fileURLToPath(new URL('../guest', import.meta.url));
const KERNEL = 'linux-image-cloud-amd64';
const PACKAGES = [
  'dash',
  'bash',
  'coreutils',
  'findutils',
  'util-linux',
  'mount',
  'iproute2',
  'nftables',
  'procps',
  'kmod',
  'e2fsprogs',
  'tar',
  'sed',
  'grep',
  'libstdc++6',
  'busybox-static',
  'curl',
];
/** Pulled in for their scripts only, which never run here. */
const LEFT_OUT = /^(linux-.*|perl|perl-modules.*|libperl.*|debconf.*|dpkg|usrmerge|lib.*-perl|libgdbm.*|init-system.*|debianutils)$/;
const MODULES = [
  'virtio_pci',
  'virtio_blk',
  'virtio_console',
  'virtio_net',
  'virtio_rng',
  'overlay',
  'veth',
  'bridge',
  'br_netfilter',
  'vxlan',
  'tun',
  'nft_chain_nat',
  'nft_masq',
  'nft_redir',
  'nft_ct',
  'nft_reject_inet',
  'nft_limit',
  'nft_log',
  'nft_fib_inet',
  'nft_numgen',
  'nft_objref',
];

/**
 * An image of Debian's cloud kernel and of packages unpacked without running their scripts, with this machine's own Node.js. Made once and kept
 * in the cache; another kernel, package list, Node.js or guest script makes another one.
 */
export async function vmImage(): Promise<VmImage> {
  const files = await downloadClosure({ packages: [KERNEL, ...PACKAGES] });
  const scripts = await Promise.all(['init', 'init2', 'agent.sh'].map((name) => readFile(join(GUEST, name), 'utf8')));
  const key = cacheKey([files.map((file) => basename(file)).sort(), process.version, scripts, MODULES, 2]);
  await mkdir(join(cacheDirectory(), 'vm'), { recursive: true });
  const directory = await cachedDirectory(join(cacheDirectory(), 'vm', key), (made) => build(files, made));
  return { kernel: join(directory, 'kernel'), initrd: join(directory, 'initrd'), root: join(directory, 'root.ext4') };
}

async function build(files: readonly string[], directory: string): Promise<void> {
  const stage = join(directory, 'stage');
  await prepareRoot(stage);
  await unpackPackages(
    files.filter((file) => !LEFT_OUT.test(packageOf(file))),
    stage,
  );
  await furnish(stage);
  const version = await unpackKernel(files, directory, stage);
  await buildInitrd(directory, stage, version);
  // No journal: it is mounted read-only.
  await runCommand('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', stage, join(directory, 'root.ext4'), '700M']);
  await rm(stage, { recursive: true });
}

/** What the packages' scripts would have made. */
async function furnish(stage: string): Promise<void> {
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'root', 'lab', 'data', 'mnt', 'var/lib', 'var/log', 'etc'])
    await mkdir(join(stage, name), { recursive: true });
  await writeFile(join(stage, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n');
  await writeFile(join(stage, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  await writeFile(join(stage, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n');
  await runCommand('ln', ['-sf', 'mawk', join(stage, 'usr/bin/awk')]);
  await copyFile(process.execPath, join(stage, 'usr/bin/node'));
}

async function unpackKernel(files: readonly string[], directory: string, stage: string): Promise<string> {
  const deb = files.find((file) => /^linux-image-\d/.test(packageOf(file)));
  if (deb === undefined) throw new Error(`${KERNEL}: no kernel among ${files.length} packages`);
  const kernel = join(directory, 'kernel-package');
  await runCommand('dpkg-deb', ['-x', deb, kernel]);
  const { stdout } = await runCommand('ls', [join(kernel, 'lib/modules')]);
  const version = stdout.trim();
  await copyFile(join(kernel, 'boot', `vmlinuz-${version}`), join(directory, 'kernel'));
  await mkdir(join(stage, 'usr/lib/modules'), { recursive: true });
  await runCommand('cp', ['-a', join(kernel, 'lib/modules', version), join(stage, 'usr/lib/modules')]);
  await rm(kernel, { recursive: true });
  // kmod acts by the name it is called by. Its own depmod writes the binary tables that its modprobe reads; busybox's does not.
  for (const name of ['depmod', 'modprobe']) await symlink(join(stage, 'usr/bin/kmod'), join(directory, name));
  await runCommand(join(directory, 'depmod'), ['-b', stage, version]);
  return version;
}

async function buildInitrd(directory: string, stage: string, version: string): Promise<void> {
  const root = join(directory, 'initrd-root');
  for (const name of ['bin', 'mod', 'proc', 'sys', 'dev', 'ro', 'rw', 'newroot']) await mkdir(join(root, name), { recursive: true });
  await copyFile(join(stage, 'usr/bin/busybox'), join(root, 'bin/busybox'));
  await symlink('busybox', join(root, 'bin/sh'));
  const { stdout } = await runCommand(join(directory, 'modprobe'), ['-d', stage, '-S', version, '--show-depends', '-a', ...MODULES]);
  // In the order in which they can be loaded, each once.
  const paths = [...new Set([...stdout.matchAll(/^insmod (\S+)/gm)].map(([, path]) => path ?? ''))];
  for (const path of paths) await copyFile(path, join(root, 'mod', basename(path)));
  await writeFile(join(root, 'mod/list'), paths.map((path) => `${basename(path)}\n`).join(''));
  for (const name of ['init', 'init2', 'agent.sh']) {
    await copyFile(join(GUEST, name), join(root, name));
    await runCommand('chmod', ['755', join(root, name)]);
  }
  await runCommand('sh', [
    '-c',
    'cd "$1" && find . | "$2" cpio -o -H newc > "$3"',
    'sh',
    root,
    join(stage, 'usr/bin/busybox'),
    join(directory, 'initrd'),
  ]);
  await rm(root, { recursive: true });
}
