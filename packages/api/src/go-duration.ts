/** Durations as the API's string fields hold them (`1h30m`, `250ms`). @see Go, `time.ParseDuration`. */

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds, or `undefined` where `text` is no duration. A bare `0` is one. */
export function parseGoDurationMs(text: string): number | undefined {
  const match = /^([+-]?)(.*)$/s.exec(text);
  const body = match?.[2] ?? '';
  if (body === '0') return 0;
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let totalMs = 0;
  for (const [, amount = '', unit = ''] of body.matchAll(/([\d.]+)([a-zµμ]+)/g)) totalMs += Number(amount) * (UNITS_MS[unit] ?? 0);
  return match?.[1] === '-' ? -totalMs : totalMs;
}

/** The canonical form: `1h30m0s`, `1.5s`, `250ms`, `0s`. */
export function formatGoDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  const sign = durationMs < 0 ? '-' : '';
  const positive = Math.abs(durationMs);
  if (positive < 1e-3) return `${sign}${trimmed(positive * 1e6)}ns`;
  if (positive < 1) return `${sign}${trimmed(positive * 1e3)}µs`;
  if (positive < 1000) return `${sign}${trimmed(positive)}ms`;
  const hours = Math.floor(positive / 3_600_000);
  const minutes = Math.floor(positive / 60_000) % 60;
  const seconds = `${trimmed((positive % 60_000) / 1000)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(9)));
}
