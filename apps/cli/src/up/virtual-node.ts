/**
 * Nodes on one machine for trying out a cluster of several: each has network, mount and UTS namespaces of its own, kept by bind mounts, on a bridge.
 * The plan is data; `run-command.ts` carries it out.
 */

export const BRIDGE = 'dure0';
/** The machine's own address on the bridge: the nodes' gateway, and where they find the API server. */
export const BRIDGE_ADDRESS = '10.44.0.1';
const BRIDGE_PREFIX = 24;
export const VIRTUAL_DIR = '/run/dure/virtual';
const NFT_TABLE = 'dure-up';

export interface Command {
  /** argv; never through a shell. */
  readonly argv: readonly string[];
  readonly stdin?: string;
  /** Failing is expected when the step was done before (or, on removal, was never done). */
  readonly mayFail?: boolean;
}

export interface ClusterRanges {
  readonly podCIDR: string;
  readonly serviceCIDR: string;
}

/** Address of virtual node number `index`, from 1. */
export function virtualNodeAddress(index: number): string {
  if (!Number.isInteger(index) || index < 1 || index > 200) throw new RangeError(`a machine holds virtual nodes 1 to 200, got ${index}`);
  return `10.44.0.${10 + index}`;
}

/** Runs `argv` inside the node: nsenter executes it in place, so the process keeps its number. */
export function enterVirtualNode(name: string, argv: readonly string[]): readonly string[] {
  const of = (kind: string): string => `--${kind}=${VIRTUAL_DIR}/${name}/${kind}`;
  return ['nsenter', of('mount'), of('net'), of('uts'), '--', ...argv];
}

/**
 * The bridge that virtual nodes hang on. The machine reaches Pods and Services through the first node, which knows the way to all others;
 * what leaves the bridge towards the outside carries the machine's address.
 */
export function planBridge(ranges: ClusterRanges): readonly Command[] {
  const via = virtualNodeAddress(1);
  return [
    { argv: ['ip', 'link', 'add', BRIDGE, 'type', 'bridge'], mayFail: true },
    { argv: ['ip', 'addr', 'replace', `${BRIDGE_ADDRESS}/${BRIDGE_PREFIX}`, 'dev', BRIDGE] },
    { argv: ['ip', 'link', 'set', BRIDGE, 'up'] },
    { argv: ['ip', 'route', 'replace', ranges.podCIDR, 'via', via, 'dev', BRIDGE] },
    { argv: ['ip', 'route', 'replace', ranges.serviceCIDR, 'via', via, 'dev', BRIDGE] },
    {
      argv: ['nft', '-f', '-'],
      stdin: [
        `table ip ${NFT_TABLE}`,
        `delete table ip ${NFT_TABLE}`,
        `table ip ${NFT_TABLE} {`,
        '  chain postrouting {',
        '    type nat hook postrouting priority srcnat;',
        `    ip saddr ${BRIDGE_ADDRESS.replace(/\d+$/, '0')}/${BRIDGE_PREFIX} oifname != "${BRIDGE}" masquerade`,
        '  }',
        '}',
        '',
      ].join('\n'),
    },
  ];
}

/**
 * Ways to make one node's namespaces, to be tried in order, one for each processor. Linux 6.18 refuses to bind a mount namespace (EINVAL, "loop")
 * whose id is below that of the namespace it is bound in, and hands out ids in batches of each processor's own: a new namespace can get a
 * lower id than an old one, and on some processor it does not.
 */
export function planNamespaces(name: string, processors: number): readonly (readonly Command[])[] {
  const dir = `${VIRTUAL_DIR}/${name}`;
  return Array.from({ length: processors }, (_, processor) => [
    { argv: ['mkdir', '-p', dir] },
    // What a try that failed left; a bound namespace cannot be touched.
    ...['net', 'uts', 'mount'].map((kind): Command => ({ argv: ['umount', `${dir}/${kind}`], mayFail: true })),
    { argv: ['touch', `${dir}/mount`, `${dir}/net`, `${dir}/uts`] },
    {
      // "slave": what the machine mounts later is seen inside; what the node mounts stays inside and goes with it.
      argv: [
        ...['taskset', '-c', String(processor), 'unshare', `--mount=${dir}/mount`, `--net=${dir}/net`, `--uts=${dir}/uts`],
        ...['--propagation', 'slave', 'hostname', name],
      ],
    },
  ]);
}

/** Links a node that has its namespaces to the bridge. */
export function planVirtualNode(name: string, address: string, index: number): readonly Command[] {
  const dir = `${VIRTUAL_DIR}/${name}`;
  const [outer, inner] = [`dure-n${index}`, `dure-p${index}`];
  const inside = (...argv: string[]): readonly string[] => enterVirtualNode(name, argv);
  return [
    { argv: ['ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner] },
    { argv: ['ip', 'link', 'set', outer, 'master', BRIDGE, 'up'] },
    { argv: ['ip', 'link', 'set', inner, 'netns', `${dir}/net`] },
    { argv: inside('ip', 'link', 'set', inner, 'name', 'eth0') },
    { argv: inside('ip', 'link', 'set', 'lo', 'up') },
    { argv: inside('ip', 'addr', 'replace', `${address}/${BRIDGE_PREFIX}`, 'dev', 'eth0') },
    { argv: inside('ip', 'link', 'set', 'eth0', 'up') },
    { argv: inside('ip', 'route', 'replace', 'default', 'via', BRIDGE_ADDRESS) },
    { argv: inside('sysctl', '-qw', 'net.ipv4.ip_forward=1') },
  ];
}

/** Makes the directory of namespaces able to hold mount namespaces: the kernel refuses them under a shared mount. */
export function planVirtualDirectory(): readonly Command[] {
  return [
    { argv: ['mkdir', '-p', VIRTUAL_DIR] },
    { argv: ['mount', '--bind', VIRTUAL_DIR, VIRTUAL_DIR] },
    { argv: ['mount', '--make-private', VIRTUAL_DIR] },
  ];
}

export function planRemoveVirtualNode(name: string, index: number): readonly Command[] {
  const dir = `${VIRTUAL_DIR}/${name}`;
  return [
    { argv: ['ip', 'link', 'del', `dure-n${index}`], mayFail: true },
    ...['net', 'uts', 'mount'].map((kind): Command => ({ argv: ['umount', `${dir}/${kind}`], mayFail: true })),
    { argv: ['rm', '-rf', dir] },
  ];
}

export function planRemoveBridge(ranges: ClusterRanges): readonly Command[] {
  return [
    { argv: ['ip', 'route', 'del', ranges.podCIDR, 'dev', BRIDGE], mayFail: true },
    { argv: ['ip', 'route', 'del', ranges.serviceCIDR, 'dev', BRIDGE], mayFail: true },
    { argv: ['ip', 'link', 'del', BRIDGE], mayFail: true },
    { argv: ['nft', 'delete', 'table', 'ip', NFT_TABLE], mayFail: true },
    { argv: ['umount', VIRTUAL_DIR], mayFail: true },
    { argv: ['rm', '-rf', VIRTUAL_DIR] },
  ];
}
