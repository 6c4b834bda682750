/** Requests and limits. @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/ */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, required } from '../../field-error.ts';
import { objectAt, objectsAt, own, stringAt } from '../../json-value.ts';
import { checkQualifiedName } from '../../name-syntax.ts';
import { compareQuantities, formatQuantity, type Quantity, quantityOf } from '../../quantity.ts';

const STANDARD = ['cpu', 'memory', 'ephemeral-storage'];
const HUGE_PAGES = 'hugepages-';
const INTEGER = 1_000_000_000n;

/** Faults of a container's `resources`. */
export function validateResources(resources: JsonObject, path: string, podClaims: readonly string[] = []): FieldError[] {
  const limits = objectAt(resources, 'limits') ?? {};
  const requests = objectAt(resources, 'requests') ?? {};
  const errors = [...validateSide(limits, `${path}.limits`), ...validateSide(requests, `${path}.requests`)];
  for (const [name, text] of Object.entries(limits)) {
    const limit = quantityOf(text);
    const request = quantityOf(own(requests, name));
    if (limit === undefined || request === undefined) continue;
    const bound = `limit of ${formatQuantity(limit)}`;
    if (!mayOvercommit(name) && compareQuantities(request, limit) !== 0) {
      errors.push(invalid(`${path}.requests`, formatQuantity(request), `must be equal to ${name} ${bound}`));
    } else if (compareQuantities(request, limit) > 0) {
      errors.push(invalid(`${path}.requests`, formatQuantity(request), `must be less than or equal to ${name} ${bound}`));
    }
  }
  for (const name of Object.keys(requests)) {
    if (!mayOvercommit(name) && own(limits, name) === undefined) {
      errors.push(required(`${path}.limits`, 'Limit must be set for non overcommitable resources'));
    }
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some((name) => name.startsWith(HUGE_PAGES)) && !names.some((name) => name === 'cpu' || name === 'memory')) {
    errors.push(forbidden(path, 'HugePages require cpu or memory'));
  }
  for (const [index, claim] of objectsAt(resources, 'claims').entries()) {
    const name = stringAt(claim, 'name');
    if (name === '') errors.push(required(`${path}.claims[${index}]`));
    else if (!podClaims.includes(name))
      errors.push({ reason: 'FieldValueNotFound', field: `${path}.claims[${index}]`, message: `Not found: ${JSON.stringify(name)}` });
  }
  return errors;
}

/** Faults of the name of something that containers ask for. */
export function validateContainerResourceName(name: string, path: string): FieldError[] {
  const errors = checkQualifiedName(name).map((fault) => invalid(path, name, fault));
  if (errors.length > 0) return errors;
  if (name.includes('/')) return [];
  return STANDARD.includes(name) || name.startsWith(HUGE_PAGES) ? [] : [invalid(path, name, 'must be a standard resource for containers')];
}

/** Faults of an amount of `name`. */
export function validateAmount(name: string, amount: Quantity, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const text = formatQuantity(amount);
  if (amount.nanos < 0n) errors.push(invalid(path, text, 'must be greater than or equal to 0'));
  const whole = name.includes('/') || name === 'pods' || name === 'services' || name.startsWith('count/');
  if (whole && amount.nanos % INTEGER !== 0n) errors.push(invalid(path, text, 'must be an integer'));
  return errors;
}

function validateSide(side: JsonObject, path: string): FieldError[] {
  return Object.entries(side).flatMap(([name, text]) => {
    const at = `${path}[${name}]`;
    const amount = quantityOf(text);
    return [...validateContainerResourceName(name, at), ...(amount === undefined ? [] : validateAmount(name, amount, at))];
  });
}

/** CPU, memory and storage may be promised more than once; devices and huge pages may not. */
export function mayOvercommit(name: string): boolean {
  return STANDARD.includes(name) || name.startsWith('kubernetes.io/');
}
