/**
 * JSON paths in kubectl's dialect, as far as printer columns and field selectors of custom kinds go: fields, escaped dots,
 * indices, slices, wildcards and filters by one comparison.
 * @see https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
import type { Json } from './definition.ts';
import { fromJsonText } from './json-text.ts';
import { equalJson, isJsonObject, isNumeric, own } from './json-value.ts';

/** The text is no path that this dialect knows. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
  readonly code = 'JSON_PATH_MALFORMED';
}

/** Gives what the path finds in a value, in order; nothing where a step is absent. */
export type JsonPath = (value: Json) => readonly Json[];

type Step = (value: Json) => readonly Json[];

const FIELD = /^\.?((?:\\.|[^.[\]\\])+)/;
const QUOTED = /^\[\s*(?:'((?:\\.|[^'])*)'|"((?:\\.|[^"])*)")\s*\]/;
const INDEX = /^\[\s*(-?\d+)\s*\]/;
const SLICE = /^\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]/;
const WILDCARD = /^(?:\[\s*\*\s*\]|\.\*)/;
const FILTER = /^\[\?\(\s*@((?:\.(?:\\.|[^\s=!<>().\\])+)*)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*\)\]/;

/** @throws {JsonPathError} */
export function parseJsonPath(text: string): JsonPath {
  let rest = text
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .replace(/^\$/, '');
  const steps: Step[] = [];
  while (rest !== '' && rest !== '.') {
    const [step, length] = nextStep(rest, text);
    steps.push(step);
    rest = rest.slice(length);
  }
  return (value) => steps.reduce<readonly Json[]>((found, step) => found.flatMap((item) => step(item)), [value]);
}

function nextStep(rest: string, whole: string): readonly [Step, number] {
  const filter = FILTER.exec(rest);
  if (filter !== null) return [filterStep(filter[1] ?? '', filter[2] ?? '', filter[3] ?? '', whole), filter[0].length];
  const wildcard = WILDCARD.exec(rest);
  if (wildcard !== null) return [everything, wildcard[0].length];
  const index = INDEX.exec(rest);
  if (index !== null) return [indexStep(Number(index[1])), index[0].length];
  const slice = SLICE.exec(rest);
  if (slice !== null) return [sliceStep(slice[1] ?? '', slice[2] ?? ''), slice[0].length];
  const quoted = QUOTED.exec(rest);
  if (quoted !== null) return [fieldStep((quoted[1] ?? quoted[2] ?? '').replace(/\\(.)/g, '$1')), quoted[0].length];
  const field = FIELD.exec(rest);
  if (field !== null) return [fieldStep((field[1] ?? '').replace(/\\(.)/g, '$1')), field[0].length];
  throw new JsonPathError(`parse JSON path ${JSON.stringify(whole)}: cannot read ${JSON.stringify(rest)}`);
}

const everything: Step = (value) => (Array.isArray(value) ? value : isJsonObject(value) ? Object.values(value) : []);

function fieldStep(name: string): Step {
  return (value) => {
    const found = isJsonObject(value) ? own(value, name) : undefined;
    return found === undefined ? [] : [found];
  };
}

function indexStep(index: number): Step {
  return (value) => {
    const found = Array.isArray(value) ? value.at(index) : undefined;
    return found === undefined ? [] : [found];
  };
}

function sliceStep(from: string, to: string): Step {
  return (value) => (Array.isArray(value) ? value.slice(from === '' ? 0 : Number(from), to === '' ? undefined : Number(to)) : []);
}

function filterStep(path: string, operator: string, literal: string, whole: string): Step {
  const left = parseJsonPath(path);
  const right = literalOf(literal, whole);
  return (value) => (Array.isArray(value) ? value.filter((item) => left(item).some((found) => compares(found, operator, right))) : []);
}

function literalOf(text: string, whole: string): Json {
  const single = /^'(.*)'$/s.exec(text);
  if (single !== null) return single[1] ?? '';
  try {
    return fromJsonText(text) as Json;
  } catch (cause) {
    throw new JsonPathError(`parse JSON path ${JSON.stringify(whole)}: ${text} is no literal`, { cause });
  }
}

function compares(left: Json, operator: string, right: Json): boolean {
  if (operator === '==') return equalJson(left, right);
  if (operator === '!=') return !equalJson(left, right);
  if (typeof left === 'string' && typeof right === 'string') return isOrdered(left, operator, right);
  return isNumeric(left) && isNumeric(right) && isOrdered(left, operator, right);
}

function isOrdered<T extends string | number | bigint>(left: T, operator: string, right: T): boolean {
  if (operator === '<') return left < right;
  if (operator === '<=') return left <= right;
  return operator === '>' ? left > right : left >= right;
}
