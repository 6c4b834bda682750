/** `counts` as the API writes them: a count of nothing is left out. */
export function withoutZeros<K extends string>(counts: Readonly<Record<K, number>>): Partial<Record<K, number>> {
  return Object.fromEntries(Object.entries<number>(counts).filter(([, count]) => count !== 0)) as Partial<Record<K, number>>;
}
