/**
 * The plan file of `dure-run` as a value. What each directive means stands in `native/README.md`; what may be written here is checked
 * again there, before anything is done.
 */

/** A directive's name and its fields. Numbers are written in decimal. */
export type Directive = readonly [name: string, ...fields: readonly (string | number | Uint8Array)[]];

/** The bytes of a plan file. Fields carry their length, so they may hold anything; `end` proves that the file is whole. */
export function renderPlan(directives: readonly Directive[]): Uint8Array {
  const parts: Buffer[] = [Buffer.from('dure-run plan 1\n')];
  for (const [name, ...fields] of directives) {
    parts.push(Buffer.from(name));
    for (const field of fields) {
      const bytes = typeof field === 'object' ? Buffer.from(field) : Buffer.from(String(field));
      parts.push(Buffer.from(` ${bytes.length}:`), bytes);
    }
    parts.push(Buffer.from('\n'));
  }
  parts.push(Buffer.from('end\n'));
  return Buffer.concat(parts);
}
