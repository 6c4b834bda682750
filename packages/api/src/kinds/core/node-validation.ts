/** Nodes and Namespaces. */
import { checkCidr } from '../../address-syntax.ts';
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { objectAt, objectsAt, semanticEqual, stringAt, stringsAt } from '../../json-value.ts';
import { checkLabelValue, checkQualifiedName } from '../../name-syntax.ts';
import { quantityOf } from '../../quantity.ts';
import { validateAmount } from '../pods/resources-validation.ts';
import { checked } from '../rules.ts';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateNode(node: JsonObject): FieldError[] {
  const spec = objectAt(node, 'spec') ?? {};
  const errors = validateTaints(objectsAt(spec, 'taints'));
  for (const [index, cidr] of stringsAt(spec, 'podCIDRs').entries()) errors.push(...checked(`spec.podCIDRs[${index}]`, cidr, checkCidr));
  return [...errors, ...validateNodeStatus(node)];
}

export function validateNodeStatus(node: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const side of ['capacity', 'allocatable']) {
    for (const [name, text] of Object.entries(objectAt(node, 'status', side) ?? {})) {
      const at = `status.${side}[${name}]`;
      const amount = quantityOf(text);
      errors.push(...checked(at, name, checkQualifiedName), ...(amount === undefined ? [] : validateAmount(name, amount, at)));
    }
  }
  const addresses = new Set<string>();
  for (const [index, address] of objectsAt(node, 'status', 'addresses').entries()) {
    const identity = `${stringAt(address, 'type')}/${stringAt(address, 'address')}`;
    if (addresses.has(identity)) errors.push(duplicate(`status.addresses[${index}]`, address));
    addresses.add(identity);
  }
  return errors;
}

export function validateNodeUpdate(node: JsonObject, old: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const before = stringsAt(old, 'spec', 'podCIDRs');
  if (before.length > 0 && !semanticEqual(stringsAt(node, 'spec', 'podCIDRs'), before)) {
    errors.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  }
  const provider = stringAt(old, 'spec', 'providerID');
  if (provider !== '' && stringAt(node, 'spec', 'providerID') !== provider) {
    errors.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  }
  return errors;
}

export function validateNamespace(namespace: JsonObject): FieldError[] {
  return stringsAt(namespace, 'spec', 'finalizers').flatMap((name, index) =>
    name === 'kubernetes' ? [] : checked(`spec.finalizers[${index}]`, name, checkFinalizer),
  );
}

/** Outside the core, a finalizer says whose it is. */
function checkFinalizer(name: string): string[] {
  const faults = checkQualifiedName(name);
  return faults.length > 0 || name.includes('/') ? faults : ['name is neither a standard finalizer name nor is it fully qualified'];
}

function validateTaints(taints: readonly JsonObject[]): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const at = `spec.taints[${index}]`;
    const errors = checked(`${at}.key`, stringAt(taint, 'key'), checkQualifiedName);
    errors.push(...checked(`${at}.value`, stringAt(taint, 'value'), checkLabelValue));
    const effect = stringAt(taint, 'effect');
    if (effect === '') errors.push(required(`${at}.effect`));
    else if (!EFFECTS.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    const identity = `${stringAt(taint, 'key')}:${effect}`;
    if (seen.has(identity))
      errors.push({ ...duplicate(at, taint), message: `${duplicate(at, taint).message}: taints must be unique by key and effect pair` });
    seen.add(identity);
    return errors;
  });
}

/** An empty holder is legal: a leader that steps down leaves one behind. */
export function validateLease(lease: JsonObject): FieldError[] {
  const spec = objectAt(lease, 'spec') ?? {};
  const errors: FieldError[] = [];
  const seconds = spec.leaseDurationSeconds;
  if (typeof seconds === 'number' && seconds <= 0) errors.push(invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0'));
  const transitions = spec.leaseTransitions;
  if (typeof transitions === 'number' && transitions < 0) {
    errors.push(invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  }
  return errors;
}
