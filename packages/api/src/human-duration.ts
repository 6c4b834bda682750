/** Durations as `kubectl` prints them: two or three significant figures. @see apimachinery, `util/duration`. */

const SECOND_MS = 1000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** `95s`, `5m32s`, `47m`, `3h12m`, `26h`, `3d4h`, `40d`, `2y130d`. Up to 2 s of negative time counts as now: clocks differ. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / SECOND_MS);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes < 10) return withRest(`${minutes}m`, seconds % MINUTE, 's');
  if (minutes < 3 * 60) return `${minutes}m`;
  const hours = Math.floor(seconds / HOUR);
  if (hours < 8) return withRest(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return withRest(`${days}d`, hours % 24, 'h');
  if (days < 2 * 365) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? withRest(`${years}y`, days % 365, 'd') : `${years}y`;
}

/** The age of an RFC 3339 time at `nowMs`; `<unknown>` for an absent one. */
export function formatAge(time: string | undefined | null, nowMs: number): string {
  if (time === undefined || time === null || time === '') return '<unknown>';
  const thenMs = Date.parse(time);
  return Number.isNaN(thenMs) ? '<unknown>' : humanDuration(nowMs - thenMs);
}

function withRest(head: string, rest: number, unit: string): string {
  return rest === 0 ? head : `${head}${rest}${unit}`;
}
