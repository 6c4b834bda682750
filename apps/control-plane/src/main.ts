/** Runs API server, scheduler and controllers in one process around one store. */
import { ConfigFileError } from '@dure/apiserver';
import { createLogger, messageOf, systemClock, systemRandom } from '@dure/foundation';
import { StoreLockedError, StoreOpenError } from '@dure/store';
import { ConfigError, parseConfig, USAGE } from './config.ts';
import { ListenError, runControlPlane } from './control-plane.ts';

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(USAGE);
    return;
  }
  const config = parseConfig(argv);
  const log = createLogger({ level: config.logLevel });
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  await runControlPlane(config, { clock: systemClock, random: systemRandom, log }, stop.signal);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  // What the caller can mend by itself needs no stack.
  const mendable =
    error instanceof ConfigError ||
    error instanceof ConfigFileError ||
    error instanceof ListenError ||
    error instanceof StoreLockedError ||
    error instanceof StoreOpenError;
  console.error(error instanceof ConfigError ? error.message : `control-plane: ${messageOf(error)}`);
  if (!mendable) console.error(error);
  process.exitCode = 1;
});
