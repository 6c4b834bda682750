/**
 * `Object.spec{replicas: 3}` and `JSONPatch{op: "add"}`: messages that mutations build. The syntax library knows maps and calls only, so such
 * an expression is rewritten into a call of {@link CONSTRUCT} with a map, and places in the result are led back to the text as it was written.
 */
import { type CelType, DYN, STRING } from './cel-type.ts';
import { CelMap, type CelValue, isList } from './cel-value.ts';
import { define, type Overload } from './overload.ts';

export const CONSTRUCT = '__construct__';

export interface RewrittenText {
  readonly text: string;
  /** The offset in the original text of an offset in the rewritten one. */
  originOf(offset: number): number;
}

/** What is built: a map that knows its type's name. */
export class CelObject extends CelMap {
  readonly typeName: string;

  constructor(typeName: string, entries: CelMap['entries']) {
    super(entries);
    this.typeName = typeName;
  }
}

/** Types whose names begin so may be built, with whatever fields: what fields there are shows when the object is put to use. */
const ROOTS: ReadonlySet<string> = new Set(['Object', 'JSONPatch']);
const JSON_PATCH_FIELDS: ReadonlySet<string> = new Set(['op', 'path', 'from', 'value']);
/** Text that is no code (strings, comments), a name with dots before a brace, a bracket, or a comma. */
const PIECES =
  /(?:[rR][bB]?|[bB][rR]?)?(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\/\/[^\n]*|[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*\s*\{|[A-Za-z_]\w*|[{}()[\],]/g;
const FIELD = /((?:\s|\/\/[^\n]*\n)*)(\??)\s*([A-Za-z_]\w*)\s*(?=:)/y;

export function rewriteConstructions(text: string): RewrittenText {
  if (![...ROOTS].some((root) => text.includes(root))) return { text, originOf: (offset) => offset };
  const pieces: { readonly text: string; readonly origin: number }[] = [];
  const open: ('object' | 'other')[] = [];
  let copied = 0;
  const replace = (from: number, to: number, by: string): void => {
    if (from > copied) pieces.push({ text: text.slice(copied, from), origin: copied });
    if (by !== '') pieces.push({ text: by, origin: from });
    copied = to;
  };
  /** A field's name after a brace or comma becomes a key. */
  const key = (at: number): number => {
    FIELD.lastIndex = at;
    const match = FIELD.exec(text);
    if (match === null) return at;
    const [whole, before = '', mark, name] = match;
    replace(at + before.length, at + whole.length, JSON.stringify(`${mark}${name}`));
    return at + whole.length;
  };
  PIECES.lastIndex = 0;
  for (let match = PIECES.exec(text); match !== null; match = PIECES.exec(text)) {
    const [piece] = match;
    const end = match.index + piece.length;
    const isCode = !/^(?:\/\/|[rRbB]{0,2}["'])/.test(piece);
    if (isCode && piece.endsWith('{') && piece !== '{') {
      const name = piece.slice(0, -1).replace(/\s/g, '');
      const isObject = ROOTS.has(name.split('.')[0] ?? '');
      open.push(isObject ? 'object' : 'other');
      if (isObject) {
        replace(match.index, end, `${CONSTRUCT}(${JSON.stringify(name)}, {`);
        PIECES.lastIndex = key(end);
      }
    } else if (piece === '{' || piece === '(' || piece === '[') open.push('other');
    else if (piece === '}' || piece === ')' || piece === ']') {
      if (open.pop() === 'object') replace(match.index, end, '})');
    } else if (piece === ',' && open.at(-1) === 'object') PIECES.lastIndex = key(end);
  }
  replace(text.length, text.length, '');
  return { text: pieces.map((piece) => piece.text).join(''), originOf: (offset) => originIn(pieces, offset) };
}

function originIn(pieces: readonly { readonly text: string; readonly origin: number }[], offset: number): number {
  let start = 0;
  for (const { text, origin } of pieces) {
    if (offset < start + text.length) return origin + offset - start;
    start += text.length;
  }
  const last = pieces.at(-1);
  return last === undefined ? offset : last.origin + last.text.length;
}

/** The type of what is built; its fields may be anything. */
export function constructedType(name: string): CelType {
  return { kind: 'object', name, fields: ANY_FIELDS };
}

/** Why a type has no such field, or `undefined`. */
export function fieldFault(typeName: string, field: string): string | undefined {
  return typeName === 'JSONPatch' && !JSON_PATCH_FIELDS.has(field) ? `undefined field '${field}'` : undefined;
}

class AnyFields extends Map<string, CelType> {
  override get(): CelType {
    return DYN;
  }
}

const ANY_FIELDS: ReadonlyMap<string, CelType> = new AnyFields();

/** Where the types that were named do not follow the fields that hold them: `Object.spec{selector: Object.spec.wrong{}}`. `undefined`: nowhere. */
export function typeNameFault(value: CelValue, path?: string): string | undefined {
  if (isList(value)) {
    for (const item of value) {
      const fault = typeNameFault(item, path);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (!(value instanceof CelObject)) return undefined;
  const expected = path ?? value.typeName;
  if (value.typeName !== expected) {
    return `unexpected type name ${JSON.stringify(value.typeName)}, expected ${JSON.stringify(expected)}, which matches field name path from root Object type`;
  }
  for (const [field, item] of value.entries) {
    const fault = typeNameFault(item, `${expected}.${String(field)}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** What JSON patches need besides: keys with `/` and `~` as steps of a path (RFC 6901). */
export const patchFunctions: readonly Overload[] = [
  define<[string]>('jsonpatch.escapeKey', [STRING], STRING, ([key], budget) =>
    budget.worked(key.length * 0.1, key.replaceAll('~', '~0').replaceAll('/', '~1')),
  ),
];
