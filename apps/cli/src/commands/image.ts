import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { askAgent } from '../agent-socket.ts';
import { UserFault } from '../fault.ts';
import { RUN_DIR } from '../up/run-directory.ts';

type Write = (line: string) => void;

interface NodeOption {
  readonly node?: string;
}

/** `dure image ls|pull|import|rm`, about the images of a node on this machine. */
export function imageCommand(write: Write): Command {
  const image = new Command('image').description('images on a node of this machine');
  const onNode = (command: Command): Command => command.option('--node <name>', 'which node, when several run on this machine');
  onNode(image.command('ls'))
    .description('list the images')
    .action(({ node }: NodeOption) => list(node, write));
  onNode(image.command('pull <reference>'))
    .description('bring an image here from its registry')
    .action((reference: string, { node }: NodeOption) =>
      relay(node, 'POST', `/images/pull?reference=${encodeURIComponent(reference)}`, write),
    );
  onNode(image.command('import <archive>'))
    .description('take in an OCI or docker-save archive')
    .action((archive: string, { node }: NodeOption) =>
      relay(node, 'POST', `/images/import?path=${encodeURIComponent(resolve(archive))}`, write),
    );
  onNode(image.command('rm <reference>'))
    .description('forget an image')
    .action((reference: string, { node }: NodeOption) =>
      relay(node, 'DELETE', `/images?reference=${encodeURIComponent(reference)}`, write),
    );
  return image;
}

async function list(node: string | undefined, write: Write): Promise<void> {
  const rows: (readonly [string, string, string])[] = [['IMAGE', 'ID', 'SIZE']];
  for await (const message of askAgent(socketOf(node), 'GET', '/images')) {
    if (message.kind !== 'image') continue;
    for (const name of message.names) rows.push([name, message.id.slice(0, 19), `${(message.sizeBytes / 1e6).toFixed(1)} MB`]);
  }
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)) + 3);
  for (const [name, id, size] of rows) write(`${name.padEnd(widths[0] ?? 0)}${id.padEnd(widths[1] ?? 0)}${size}`);
}

async function relay(node: string | undefined, method: string, path: string, write: Write): Promise<void> {
  for await (const message of askAgent(socketOf(node), method, path)) {
    if (message.kind === 'progress' || message.kind === 'done') write(message.text);
  }
}

/** @throws {UserFault} No node runs here, or several do and none was chosen. */
function socketOf(node: string | undefined): string {
  const running = nodesHere();
  const [only] = running;
  if (node === undefined && running.length !== 1) {
    throw new UserFault(
      only === undefined
        ? 'no node runs on this machine'
        : `several nodes run on this machine, choose one with --node: ${running.join(', ')}`,
    );
  }
  return join(RUN_DIR, node ?? only ?? '', 'agent.sock');
}

function nodesHere(): readonly string[] {
  try {
    return readdirSync(RUN_DIR, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && readdirSync(join(RUN_DIR, entry.name)).includes('agent.sock') ? [entry.name] : [],
    );
  } catch {
    return [];
  }
}
