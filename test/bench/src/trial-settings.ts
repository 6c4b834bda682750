/**
 * Settings for trying things out, from the environment: `DURE_BENCH_ROUNDS`, `DURE_BENCH_MINUTES`, `DURE_BENCH_NODE_FLAGS`, `DURE_BENCH_CONTROL_PLANE`.
 * A run with any of them is printed and not recorded.
 */
const PREFIX = 'DURE_BENCH_';

export function trialSetting(name: `${typeof PREFIX}${string}`): string | undefined {
  return process.env[name];
}

/** @throws {RangeError} It is set and not a positive number. */
export function trialNumber(name: `${typeof PREFIX}${string}`): number | undefined {
  const text = trialSetting(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`${name} must be a positive number, got ${JSON.stringify(text)}`);
  return value;
}

/** Those that are set, as `NAME=value`. */
export function trialSettings(): readonly string[] {
  return Object.entries(process.env)
    .filter(([name]) => name.startsWith(PREFIX))
    .map(([name, value]) => `${name}=${value}`);
}
