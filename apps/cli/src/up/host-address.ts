import { networkInterfaces } from 'node:os';
import { runCommand } from './run-command.ts';

/**
 * The machine's own IPv4 address as other machines see it: the source of the default route, else the first that is neither loopback nor ours.
 * `undefined` on a machine without any.
 */
export async function hostAddress(): Promise<string | undefined> {
  const routes = await runCommand({ argv: ['ip', '-json', 'route', 'show', 'default'], mayFail: true });
  const defaultLink = firstDevice(routes);
  const links = Object.entries(networkInterfaces()).filter(([name]) => !name.startsWith('dure'));
  const ordered = [...links.filter(([name]) => name === defaultLink), ...links.filter(([name]) => name !== defaultLink)];
  return ordered
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'))?.address;
}

function firstDevice(routesJson: string): string | undefined {
  try {
    const routes = JSON.parse(routesJson) as readonly { readonly dev?: string }[];
    return routes[0]?.dev;
  } catch {
    return undefined;
  }
}
