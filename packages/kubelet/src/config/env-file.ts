/** Variables of an env file: `NAME='value'` per line, quotes optional, `#` begins a comment. @see KEP-3721 */
export function parseEnvFile(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Za-z_.-][A-Za-z0-9_.-]*)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^#]*))/.exec(line);
    if (match === null) continue;
    values.set(match[1] ?? '', match[2] ?? match[3] ?? (match[4] ?? '').trim());
  }
  return values;
}
