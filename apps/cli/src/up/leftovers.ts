import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command.ts';
import { mountPoints, RUN_DIR } from './run-directory.ts';

/** Names that only Dure gives: how its traces are told from the machine's own. */
const OURS = /^dure/;

/**
 * What of Dure is on this machine now, one line each: links, routes through them, nftables tables, mounts, cgroups, the run directory.
 * @param nodes Whose cgroups to look for: the tree may hold those of other clusters, in other network namespaces.
 */
export async function leftovers(nodes: readonly string[]): Promise<readonly string[]> {
  const [links, routes, tables] = await Promise.all([
    runCommand({ argv: ['ip', '-json', 'link', 'show'] }),
    runCommand({ argv: ['ip', '-json', 'route', 'show', 'table', 'all'] }),
    runCommand({ argv: ['nft', '-j', 'list', 'tables'], mayFail: true }),
  ]);
  return [
    ...linksIn(links),
    ...routesIn(routes),
    ...tablesIn(tables),
    ...mountsIn(mountPoints()),
    ...cgroupsOf(nodes, mountPoints()),
    ...(existsSync(RUN_DIR) ? [`directory ${RUN_DIR}`] : []),
  ];
}

function linksIn(json: string): readonly string[] {
  const links = JSON.parse(json) as readonly { readonly ifname: string }[];
  return links.filter(({ ifname }) => OURS.test(ifname)).map(({ ifname }) => `link ${ifname}`);
}

function routesIn(json: string): readonly string[] {
  const routes = JSON.parse(json) as readonly { readonly dst: string; readonly dev?: string }[];
  return routes.filter(({ dev = '' }) => OURS.test(dev)).map(({ dst, dev }) => `route ${dst} dev ${dev}`);
}

function tablesIn(json: string): readonly string[] {
  if (json === '') return [];
  const { nftables } = JSON.parse(json) as {
    readonly nftables: readonly { readonly table?: { readonly family: string; readonly name: string } }[];
  };
  return nftables.flatMap(({ table }) =>
    table !== undefined && OURS.test(table.name) ? [`nftables table ${table.family} ${table.name}`] : [],
  );
}

function mountsIn(points: ReadonlyMap<string, string>): readonly string[] {
  return [...points.keys()].filter((point) => point === RUN_DIR || point.startsWith(`${RUN_DIR}/`)).map((point) => `mount ${point}`);
}

function cgroupsOf(nodes: readonly string[], points: ReadonlyMap<string, string>): readonly string[] {
  const roots = [...points].filter(([, type]) => type === 'cgroup2').map(([point]) => join(point, 'dure'));
  return roots
    .flatMap((root) => nodes.map((node) => join(root, node)))
    .filter((path) => existsSync(path))
    .map((path) => `cgroup ${path}`);
}
