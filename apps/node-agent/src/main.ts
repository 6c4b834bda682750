/** Makes the Pods bound to this node real and reports what it sees. */
import { setMaxListeners } from 'node:events';
import { createLogger, messageOf, systemClock, systemRandom } from '@dure/foundation';
import { runAgent } from './agent.ts';
import { ConfigError, parseConfig, USAGE } from './config.ts';
import { tearDown } from './tear-down.ts';

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(USAGE);
    return;
  }
  const config = parseConfig(argv, process.env);
  // Programs that containers start do not inherit it, but /proc shows it.
  delete process.env.DURE_JOIN_TOKEN;
  const deps = { clock: systemClock, random: systemRandom, log: createLogger({ level: config.logLevel }) };
  if (config.command === 'tear-down') {
    await tearDown(config, deps);
    return;
  }
  const stop = new AbortController();
  // Everything that runs listens to this one signal: many listeners are no leak here.
  setMaxListeners(0, stop.signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    await runAgent(config, deps, stop.signal);
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
  }
}

main(process.argv.slice(2)).then(
  // Sockets of sessions that were cut may linger; Pods go on without this process.
  () => process.exit(process.exitCode ?? 0),
  (error: unknown) => {
    // A fault in the configuration is the caller's and needs no stack.
    console.error(error instanceof ConfigError ? error.message : `node-agent: ${messageOf(error)}`);
    if (!(error instanceof ConfigError)) console.error(error);
    process.exit(1);
  },
);
