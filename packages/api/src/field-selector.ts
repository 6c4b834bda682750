/**
 * Field selectors: `status.phase=Running,spec.nodeName!=a`. Which fields may be selected is each kind's own matter.
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
 */
import { SelectorError } from './label-selector.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** Requirements that must all hold; with none of them everything matches. */
export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  /** Absent fields count as empty. */
  matches(fields: Readonly<Record<string, string>>): boolean;
  /** The value that `field` must have, where the selector asks for exactly one. */
  exactValue(field: string): string | undefined;
  toString(): string;
}

/** A selector of `requirements`. */
export function fieldSelector(requirements: readonly FieldRequirement[]): FieldSelector {
  return Object.freeze({
    requirements,
    matches: (fields: Readonly<Record<string, string>>) =>
      requirements.every(({ field, operator, value }) => (fieldValue(fields, field) === value) === (operator === '=')),
    exactValue: (field: string) => requirements.find((requirement) => requirement.field === field && requirement.operator === '=')?.value,
    toString: () => requirements.map(({ field, operator, value }) => `${field}${operator}${escapeFieldValue(value)}`).join(','),
  });
}

/** Matches every object. */
export const everyField: FieldSelector = fieldSelector([]);

/** @throws {SelectorError} `text` is no selector. The empty string selects everything. */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text).sort()) {
    if (term === '') continue;
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = '', sign = '', value = ''] = match;
    requirements.push({ field, operator: sign === '!=' ? '!=' : '=', value: unescapeFieldValue(value) });
  }
  return requirements.length === 0 ? everyField : fieldSelector(requirements);
}

/** `value` as it may stand in a selector. */
export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, '\\$&');
}

function fieldValue(fields: Readonly<Record<string, string>>, field: string): string {
  return Object.hasOwn(fields, field) ? (fields[field] ?? '') : '';
}

function unescapeFieldValue(value: string): string {
  return value.replace(/\\(.?)|[,=]/gs, (sequence: string, escaped: string | undefined) => {
    if (escaped === undefined) throw new SelectorError(`invalid field selector: unescaped character in value: ${sequence.charCodeAt(0)}`);
    if (!/^[\\,=]$/.test(escaped)) throw new SelectorError(`invalid field selector: invalid escape sequence: ${sequence}`);
    return escaped;
  });
}

function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === ',') {
      terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...terms, text.slice(start)];
}
