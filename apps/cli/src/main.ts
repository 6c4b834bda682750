/** `dure`: turns a command line into processes and API calls. */
import { join, resolve } from 'node:path';
import { messageOf, systemClock } from '@dure/foundation';
import { Command, InvalidArgumentError } from 'commander';
import { becomeApp } from './app-programs.ts';
import { runDoctor } from './commands/doctor.ts';
import { imageCommand } from './commands/image.ts';
import { status } from './commands/status.ts';
import { runTokenCreate, runTokenDelete, runTokenList } from './commands/token.ts';
import { runUp, type UpCommandOptions } from './commands/up.ts';
import { defaultDataDir } from './data-directory.ts';
import { requireRoot, UserFault } from './fault.ts';
import { down } from './up/down.ts';
import { Progress } from './up/progress.ts';

const write = (line: string): void => console.log(line);

function dataDirOption(command: Command): Command {
  return command.option('--data-dir <directory>', 'where state lies', (value: string) => resolve(value), defaultDataDir());
}

function kubeconfigOption(command: Command): Command {
  return command.option(
    '--kubeconfig <file>',
    'how to reach the cluster',
    (value: string) => resolve(value),
    process.env.KUBECONFIG ?? join(defaultDataDir(), 'kubeconfig'),
  );
}

function integer(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < from || value > to)
      throw new InvalidArgumentError(`expected a whole number from ${from} to ${to}`);
    return value;
  };
}

function hostAndPort(text: string): string {
  const port = Number(/^(?:\[[0-9a-fA-F:]+\]|[^:[\]]+):([0-9]{1,5})$/.exec(text)?.[1]);
  if (!(port > 0 && port < 65_536)) throw new InvalidArgumentError('expected HOST:PORT');
  return text;
}

const program = new Command('dure')
  .description('A Kubernetes for real Linux machines')
  .version('0.1.0')
  .showHelpAfterError('(dure --help shows what there is)');

dataDirOption(program.command('up'))
  .description('start a cluster on this machine: one control plane and one node, or several')
  .option('--detach', 'return once it is ready, and leave it running', false)
  .option('--listen <host:port>', 'where the API server listens', hostAndPort, '0.0.0.0:6443')
  .option('--nodes <count>', 'so many nodes, each in namespaces of its own when more than one', integer(1, 200), 1)
  .option('--registries <file>', 'JSON: how to reach image registries (mirrors, plain HTTP, certificates)', (value: string) =>
    resolve(value),
  )
  .action((options: Omit<UpCommandOptions, 'registries'> & { readonly registries?: string }) =>
    runUp({ ...options, registries: options.registries }),
  );

dataDirOption(program.command('down'))
  .description('end the cluster that "up" started, Pods included, and leave nothing behind on this machine')
  .action(async ({ dataDir }: { dataDir: string }) => {
    requireRoot('down', 'it removes mounts, cgroups, links and routes');
    await down(dataDir, { clock: systemClock, progress: new Progress(systemClock, (line) => write(`dure: ${line}`)) });
  });

dataDirOption(program.command('status'))
  .description('what runs on this machine, and how the cluster is')
  .action(async ({ dataDir }: { dataDir: string }) => {
    process.exitCode = await status(dataDir, write);
  });

dataDirOption(program.command('doctor'))
  .description('what this machine has and lacks for Dure, with remedies')
  .option('--json', 'for machines', false)
  .action(async ({ dataDir, json }: { dataDir: string; json: boolean }) => {
    process.exitCode = await runDoctor(dataDir, json, systemClock.now(), write);
  });

const token = program.command('token').description('tokens that let machines join');
kubeconfigOption(token.command('create'))
  .description('make a token; a machine joins with "dure agent --server https://HOST:6443 --token TOKEN"')
  .option('--ttl <time>', 'how long it is good: 30m, 24h, 7d', '24h')
  .option('--description <text>', 'what it is for', '')
  .action(({ kubeconfig, ttl, description }: { kubeconfig: string; ttl: string; description: string }) =>
    runTokenCreate(kubeconfig, ttl, description, write),
  );
kubeconfigOption(token.command('list'))
  .description('show the tokens there are, without their secrets')
  .action(({ kubeconfig }: { kubeconfig: string }) => runTokenList(kubeconfig, write));
kubeconfigOption(token.command('delete <id>'))
  .description('make a token good for nothing')
  .action((id: string, { kubeconfig }: { kubeconfig: string }) => runTokenDelete(kubeconfig, id, write));

program.addCommand(imageCommand(write));

for (const [name, app, description] of [
  ['server', 'control-plane', 'run the control plane in the foreground'],
  ['agent', 'node-agent', 'run a node agent in the foreground, joining a cluster if need be'],
  ['proxy', 'service-proxy', 'run the service proxy and DNS of a node in the foreground'],
] as const) {
  program
    .command(`${name} [arguments...]`)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .action(() => becomeApp(app, process.argv.slice(process.argv.indexOf(name) + 1)));
}

program.parseAsync().catch((error: unknown) => {
  // Faults that a person can mend need no stack; anything else is ours and shows where it came from.
  console.error(`dure: ${messageOf(error)}`);
  if (!(error instanceof UserFault) && process.env.DURE_DEBUG === '1') console.error(error);
  process.exitCode = 1;
});
