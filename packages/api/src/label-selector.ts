/**
 * Label selectors in both forms: the string of a query (`app in (web, api), !canary`) and the LabelSelector object of a spec.
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
import { childPath, type FieldError, forbidden, invalid, required } from './field-error.ts';
import { checkLabelValue, checkQualifiedName } from './name-syntax.ts';

export type Labels = Readonly<Record<string, string>>;

export type LabelOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted, without repeats. */
  readonly values: readonly string[];
  /** How the string form spells it, where that was not `in` or `notin`. */
  readonly sign?: '=' | '==' | '!=';
}

/** Requirements that must all hold; with none of them everything matches. */
export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  matches(labels: Labels | undefined): boolean;
  /** The canonical string form. */
  toString(): string;
}

/** The LabelSelector object of the API. */
export interface LabelSelectorObject {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[];
}

/** The text or object is no selector. At the API's edge: BadRequest with this message. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
  readonly code = 'SELECTOR_MALFORMED';
}

/** Matches every object. */
export const everyLabel: LabelSelector = labelSelector([]);

/** Matches no object: what an absent selector means. */
export const noLabel: LabelSelector = Object.freeze({ requirements: [], matches: () => false, toString: () => '' });

/** A selector of `requirements`, which are taken to be well-formed. */
export function labelSelector(requirements: readonly LabelRequirement[]): LabelSelector {
  return Object.freeze({
    requirements,
    matches: (labels: Labels | undefined) => requirements.every((requirement) => holds(requirement, labels)),
    toString: () => requirements.map(render).join(','),
  });
}

/** @throws {SelectorError} `text` is no selector. The empty string selects everything. */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = new LabelSelectorParser(text).parse();
  if (requirements.length === 0) return everyLabel;
  return labelSelector(requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)));
}

/**
 * Compiles a LabelSelector object. Absent selects nothing, empty selects everything.
 * @throws {SelectorError} It is malformed; validation refuses such objects earlier.
 */
export function compileLabelSelector(selector: LabelSelectorObject | undefined): LabelSelector {
  if (selector === undefined) return noLabel;
  const faults = validateLabelSelector(selector, '');
  const [fault] = faults;
  if (fault !== undefined) throw new SelectorError(`${fault.field}: ${fault.message}`);
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => equals(key, value));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    requirements.push({ key, operator: operator as LabelOperator, values: sortedUnique(values) });
  }
  return requirements.length === 0
    ? everyLabel
    : labelSelector(requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)));
}

/** A selector that matches exactly these labels: the `spec.selector` of Services and ReplicationControllers. */
export function selectorOfLabels(labels: Labels): LabelSelector {
  const requirements = Object.entries(labels).map(([key, value]) => equals(key, value));
  return requirements.length === 0
    ? everyLabel
    : labelSelector(requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)));
}

/** The string form of a LabelSelector object as tables print it; `<none>` for an empty or absent one. */
export function formatLabelSelector(selector: LabelSelectorObject | undefined): string {
  if (selector === undefined) return '<none>';
  try {
    const text = compileLabelSelector(selector).toString();
    return text === '' ? '<none>' : text;
  } catch {
    return '<error>';
  }
}

/** What is wrong with a LabelSelector object at `path`. */
export function validateLabelSelector(selector: LabelSelectorObject, path: string): FieldError[] {
  const errors: FieldError[] = validateLabels(selector.matchLabels ?? {}, childPath(path, 'matchLabels'));
  for (const [index, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = childPath(path, `matchExpressions[${index}]`);
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0) errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0) errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else {
      errors.push(invalid(`${at}.operator`, operator ?? '', 'not a valid selector operator'));
    }
    errors.push(...checkQualifiedName(key ?? '').map((fault) => invalid(`${at}.key`, key ?? '', fault)));
    for (const [position, value] of values.entries()) {
      errors.push(...checkLabelValue(value).map((fault) => invalid(`${at}.values[${position}]`, value, fault)));
    }
  }
  return errors;
}

/** What is wrong with a map of labels at `path`. */
export function validateLabels(labels: Labels, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels)) {
    errors.push(...checkQualifiedName(key).map((fault) => invalid(path, key, fault)));
    errors.push(...checkLabelValue(value).map((fault) => invalid(path, value, fault)));
  }
  return errors;
}

function equals(key: string, value: string): LabelRequirement {
  return { key, operator: 'In', values: [value], sign: '=' };
}

function holds({ key, operator, values }: LabelRequirement, labels: Labels | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const bound = integerOf(values[0] ?? '');
      const actual = integerOf(value ?? '');
      if (bound === undefined || actual === undefined) return false;
      return operator === 'Gt' ? actual > bound : actual < bound;
    }
    default:
      return operator satisfies never;
  }
}

function integerOf(text: string): bigint | undefined {
  return /^[+-]?\d+$/.test(text) ? BigInt(text) : undefined;
}

function render({ key, operator, values, sign }: LabelRequirement): string {
  if (sign !== undefined) return `${key}${sign}${values[0] ?? ''}`;
  switch (operator) {
    case 'In':
      return `${key} in (${values.join(',')})`;
    case 'NotIn':
      return `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'Gt':
      return `${key}>${values[0] ?? ''}`;
    case 'Lt':
      return `${key}<${values[0] ?? ''}`;
    default:
      return operator satisfies never;
  }
}

function sortedUnique(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

type Token = '' | 'word' | '(' | ')' | ',' | '!' | '=' | '==' | '!=' | '<' | '>' | 'in' | 'notin' | 'error';
const SYMBOLS = new Set(['=', '!', '(', ')', ',', '>', '<', '==', '!=']);
const BINARY_OPERATORS = 'in, notin, =, ==, !=, gt, lt';

class LabelSelectorParser {
  readonly #tokens: { readonly token: Token; readonly text: string }[];
  #position = 0;

  constructor(text: string) {
    this.#tokens = [...tokens(text)];
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const { token, text } = this.#peek();
      if (token === '') return requirements;
      if (!startsRequirement(token)) throw new SelectorError(`found '${text}', expected: !, identifier, or 'end of string'`);
      requirements.push(this.#requirement());
      const next = this.#next();
      if (next.token === '') return requirements;
      if (next.token !== ',') throw new SelectorError(`found '${next.text}', expected: ',' or 'end of string'`);
      const after = this.#peek();
      if (!startsRequirement(after.token)) throw new SelectorError(`found '${after.text}', expected: identifier after ','`);
    }
  }

  #requirement(): LabelRequirement {
    try {
      return this.#parseRequirement();
    } catch (error) {
      if (error instanceof SelectorError) throw new SelectorError(`unable to parse requirement: ${error.message}`);
      throw error;
    }
  }

  #parseRequirement(): LabelRequirement {
    let item = this.#next();
    const negated = item.token === '!';
    if (negated) item = this.#next();
    if (!isWord(item.token)) throw new SelectorError(`found '${item.text}', expected: identifier`);
    const key = item.text;
    checkAt('<nil>', key, checkQualifiedName(key));
    if (negated) return { key, operator: 'DoesNotExist', values: [] };
    const { token } = this.#peek();
    if (token === '' || token === ',') return { key, operator: 'Exists', values: [] };
    const requirement = this.#comparison(key);
    for (const [index, value] of requirement.values.entries()) checkAt(`values[${index}][${key}]`, value, checkLabelValue(value));
    return requirement;
  }

  #comparison(key: string): LabelRequirement {
    const { token, text } = this.#next();
    switch (token) {
      case 'in':
        return { key, operator: 'In', values: this.#values() };
      case 'notin':
        return { key, operator: 'NotIn', values: this.#values() };
      case '=':
      case '==':
        return { key, operator: 'In', values: [this.#value()], sign: token };
      case '!=':
        return { key, operator: 'NotIn', values: [this.#value()], sign: token };
      case '>':
      case '<': {
        const value = this.#value();
        if (integerOf(value) === undefined) {
          const rule = "for 'Gt', 'Lt' operators, the value must be an integer";
          throw new SelectorError(`values[0]: ${invalid('', value, rule).message}`);
        }
        return { key, operator: token === '>' ? 'Gt' : 'Lt', values: [value] };
      }
      default:
        throw new SelectorError(`found '${text}', expected: ${BINARY_OPERATORS}`);
    }
  }

  #value(): string {
    const { token } = this.#peek();
    if (token === '' || token === ',') return '';
    const item = this.#next();
    if (!isWord(item.token)) throw new SelectorError(`found '${item.text}', expected: identifier`);
    return item.text;
  }

  #values(): string[] {
    const open = this.#next();
    if (open.token !== '(') throw new SelectorError(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    let current = '';
    for (;;) {
      const { token, text } = this.#next();
      if (isWord(token) && current === '') {
        current = text;
        const after = this.#peek();
        if (after.token !== ',' && after.token !== ')') throw new SelectorError(`found '${after.text}', expected: ',' or ')'`);
      } else if (token === ',' || token === ')') {
        values.push(current);
        current = '';
        if (token === ')') return sortedUnique(values);
      } else {
        throw new SelectorError(`found '${text}', expected: ',', ')' or identifier`);
      }
    }
  }

  #peek(): { readonly token: Token; readonly text: string } {
    return this.#tokens[this.#position] ?? { token: '', text: '' };
  }

  #next(): { readonly token: Token; readonly text: string } {
    const item = this.#peek();
    this.#position += 1;
    return item;
  }
}

function checkAt(path: string, value: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new SelectorError(`${path}: ${invalid('', value, faults.join('; ')).message}`);
}

function startsRequirement(token: Token): boolean {
  return isWord(token) || token === '!';
}

/** `in` and `notin` are words wherever an operator cannot stand. */
function isWord(token: Token): boolean {
  return token === 'word' || token === 'in' || token === 'notin';
}

function* tokens(text: string): Generator<{ readonly token: Token; readonly text: string }> {
  let at = 0;
  while (at < text.length) {
    const character = text.charAt(at);
    if (/\s/.test(character)) {
      at += 1;
    } else if (SYMBOLS.has(character)) {
      const pair = text.slice(at, at + 2);
      const symbol = SYMBOLS.has(pair) ? pair : character;
      at += symbol.length;
      yield { token: symbol as Token, text: symbol };
    } else {
      const [word = ''] = /^[^\s=!(),<>]+/.exec(text.slice(at)) ?? [];
      at += word.length;
      yield { token: word === 'in' || word === 'notin' ? word : 'word', text: word };
    }
  }
}
