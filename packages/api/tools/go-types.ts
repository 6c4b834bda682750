/**
 * Reads type declarations out of Go sources that follow the API's conventions (one field a line, markers in comments).
 * Not a Go parser: it knows what `types.go` files contain and fails on what it does not know.
 */

export interface GoField {
  readonly goName: string;
  /** Empty for an inlined struct. */
  readonly jsonName: string;
  readonly goType: string;
  readonly omitempty: boolean;
  readonly inline: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly markers: readonly string[];
}

export type GoType =
  | { readonly kind: 'struct'; readonly name: string; readonly markers: readonly string[]; readonly fields: readonly GoField[] }
  | { readonly kind: 'alias'; readonly name: string; readonly markers: readonly string[]; readonly goType: string };

export interface GoFile {
  /** Import alias to path. */
  readonly imports: ReadonlyMap<string, string>;
  readonly types: readonly GoType[];
  /** String constants by their declared type, in order. */
  readonly constants: ReadonlyMap<string, readonly string[]>;
  /** The same by name. */
  readonly named: ReadonlyMap<string, string>;
}

export function parseGoFile(source: string): GoFile {
  const imports = new Map<string, string>();
  const types: GoType[] = [];
  const constants = new Map<string, string[]>();
  const named = new Map<string, string>();
  let markers: string[] = [];
  let struct: { name: string; markers: readonly string[]; fields: GoField[] } | undefined;
  let inImports = false;
  for (const line of source.split('\n')) {
    const marker = /^\s*\/\/\s*\+(\S.*)$/.exec(line)?.[1];
    if (marker !== undefined) {
      markers.push(marker.trim());
      continue;
    }
    if (/^\s*\/\//.test(line)) continue;
    if (struct !== undefined) {
      if (line === '}') {
        types.push({ kind: 'struct', ...struct });
        struct = undefined;
      } else if (line.trim() !== '') {
        const field = parseField(line, markers);
        if (field !== undefined) struct.fields.push(field);
      } else if (!line.trim()) {
        continue;
      }
      markers = [];
      continue;
    }
    if (line.trim() === '') continue;
    if (line.startsWith('import (')) inImports = true;
    else if (inImports && line === ')') inImports = false;
    else if (inImports || /^import\s/.test(line)) readImport(line, imports);
    const structName = /^type (\w+) struct \{$/.exec(line)?.[1];
    const alias = /^type (\w+) =?\s*([\w.[\]*]+)$/.exec(line);
    const constant = /^(?:const )?\s*(\w+)\s+(\w+)\s*=\s*"([^"]*)"/.exec(line);
    if (structName !== undefined) struct = { name: structName, markers, fields: [] };
    else if (/^type (\w+) struct \{\}$/.test(line)) types.push({ kind: 'struct', name: line.split(' ')[1] ?? '', markers, fields: [] });
    else if (alias?.[1] !== undefined && alias[2] !== undefined) types.push({ kind: 'alias', name: alias[1], markers, goType: alias[2] });
    else if (constant?.[1] !== undefined && constant[2] !== undefined && constant[3] !== undefined) {
      named.set(constant[1], constant[3]);
      constants.set(constant[2], [...(constants.get(constant[2]) ?? []), constant[3]]);
    }
    markers = [];
  }
  return { imports, types, constants, named };
}

function readImport(line: string, imports: Map<string, string>): void {
  const match = /^(?:import\s)?\s*(?:([\w.]+)\s+)?"([^"]+)"/.exec(line);
  if (match?.[2] === undefined) return;
  imports.set(match[1] ?? match[2].split('/').at(-1) ?? '', match[2]);
}

function parseField(line: string, markers: readonly string[]): GoField | undefined {
  const match = /^\s+(.*?)\s*`(.*)`/.exec(line);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const tags: Record<string, string> = {};
  for (const [, key = '', value = ''] of match[2].matchAll(/(\w+):"([^"]*)"/g)) tags[key] = value;
  const [jsonName = '', ...options] = (tags.json ?? '-').split(',');
  if (jsonName === '-') return undefined;
  const inline = options.includes('inline') || jsonName === '';
  const words = match[1].split(/\s+/);
  // An embedded struct has no name of its own.
  const goType = (words.length === 1 ? words[0] : words.slice(1).join(' ')) ?? '';
  return { goName: words[0] ?? '', jsonName, goType, omitempty: options.includes('omitempty'), inline, tags, markers };
}
