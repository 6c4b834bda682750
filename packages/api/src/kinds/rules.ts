/** Checks that many kinds' validations share: each gives the faults of one field. */
import type { Json, JsonObject } from '../definition.ts';
import { type FieldError, invalid, notSupported, required } from '../field-error.ts';
import { isNumeric, own, semanticEqual, stringAt } from '../json-value.ts';
import { checkPortName, checkPortNumber, checkRange } from '../name-syntax.ts';

export type Check = (value: string) => string[];

/** The faults that `check` finds in `value`, at `path`. */
export function checked(path: string, value: string, check: Check): FieldError[] {
  return check(value).map((fault) => invalid(path, value, fault));
}

/** A string that must be there, and pass `check`. */
export function requiredText(object: JsonObject, field: string, path: string, check?: Check): FieldError[] {
  const value = stringAt(object, field);
  if (value === '') return [required(`${path}.${field}`)];
  return check === undefined ? [] : checked(`${path}.${field}`, value, check);
}

/** A string that, where given, must pass `check`. */
export function optionalText(object: JsonObject, field: string, path: string, check: Check): FieldError[] {
  const value = stringAt(object, field);
  return value === '' ? [] : checked(`${path}.${field}`, value, check);
}

/** One of a closed list. Empty counts as absent. */
export function oneOf(object: JsonObject, field: string, path: string, allowed: readonly string[], mandatory = false): FieldError[] {
  const value = stringAt(object, field);
  if (value === '') return mandatory ? [required(`${path}.${field}`)] : [];
  return allowed.includes(value) ? [] : [notSupported(`${path}.${field}`, value, allowed)];
}

export function nonNegative(object: JsonObject, field: string, path: string): FieldError[] {
  const value = own(object, field);
  return isNumeric(value) && value < 0 ? [invalid(`${path}.${field}`, value, 'must be greater than or equal to 0')] : [];
}

export function inRange(object: JsonObject, field: string, path: string, min: number, max: number): FieldError[] {
  const value = own(object, field);
  if (!isNumeric(value)) return [];
  return checkRange(value, min, max).map((fault) => invalid(`${path}.${field}`, value, fault));
}

/** A port by number or by name. */
export function portOrName(value: Json | undefined, path: string): FieldError[] {
  if (typeof value === 'string') return checked(path, value, checkPortName);
  const number = typeof value === 'number' ? value : 0;
  return checkPortNumber(number).map((fault) => invalid(path, number, fault));
}

export function immutable(object: JsonObject, old: JsonObject, field: string, path: string): FieldError[] {
  return semanticEqual(own(object, field), own(old, field)) ? [] : [invalid(path, own(object, field), 'field is immutable')];
}

/** A path inside a volume: relative, and never upward. */
export function localPath(path: string, value: string, mayBeEmpty = false): FieldError[] {
  if (value === '') return mayBeEmpty ? [] : [required(path)];
  if (value.startsWith('/')) return [invalid(path, value, 'must be a relative path')];
  return noUpwardSteps(path, value);
}

export function noUpwardSteps(path: string, value: string): FieldError[] {
  return value.split('/').includes('..') ? [invalid(path, value, "must not contain '..'")] : [];
}

/** A path inside a volume that must not shadow the volume's own hidden files. */
export function visibleLocalPath(path: string, value: string): FieldError[] {
  const errors = localPath(path, value);
  if (value.startsWith('..') && !value.startsWith('../') && value !== '..') errors.push(invalid(path, value, "must not start with '..'"));
  return errors;
}
