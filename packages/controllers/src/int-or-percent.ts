/**
 * A number, or a percentage of `total` as `25%`, rounded up or down. Anything else counts as 0: validation refused it long before.
 */
export function resolveIntOrPercent(value: number | string | undefined, total: number, rounding: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value ?? '')?.[1];
  if (percent === undefined) return 0;
  const exact = (Number(percent) * total) / 100;
  return rounding === 'up' ? Math.ceil(exact) : Math.floor(exact);
}
