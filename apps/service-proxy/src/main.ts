import { setMaxListeners } from 'node:events';
import { createLogger, systemClock, systemRandom } from '@dure/foundation';
import { ConfigError, parseConfig, USAGE } from './config.ts';
import { runServiceProxy } from './run.ts';

const argv = process.argv.slice(2);
main().catch((error: unknown) => {
  process.stderr.write(`service-proxy: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});

async function main(): Promise<void> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  try {
    const config = parseConfig(argv);
    const log = createLogger({ level: config.logLevel });
    const stop = new AbortController();
    // Everything that runs listens to this one signal.
    setMaxListeners(0, stop.signal);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    await runServiceProxy(config, { clock: systemClock, random: systemRandom, log }, stop.signal);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n${USAGE}\n`);
    process.exitCode = 2;
  }
}
