/** ServiceCIDRs and IPAddresses. @see KEP-1880 */
import { checkCidr, checkIP, formatIP, parseCidr, parseIP } from '../../address-syntax.ts';
import type { JsonObject } from '../../definition.ts';
import { type FieldError, invalid, required, tooMany } from '../../field-error.ts';
import { objectAt, stringsAt } from '../../json-value.ts';
import { checkDns1123Subdomain, checkPathSegment } from '../../name-syntax.ts';
import { immutable, optionalText, requiredText } from '../rules.ts';

const CIDRS_MAX = 2;

/** An address in its only spelling: the name is what keeps two from having it. */
export function checkAddressName(name: string): string[] {
  const parsed = parseIP(name);
  if (parsed === undefined) return checkIP(name);
  const canonical = formatIP(parsed);
  return canonical === name ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`];
}

export function validateIPAddress(address: JsonObject): FieldError[] {
  const parent = objectAt(address, 'spec', 'parentRef');
  if (parent === undefined) return [required('spec.parentRef')];
  return [
    ...optionalText(parent, 'group', 'spec.parentRef', checkDns1123Subdomain),
    ...requiredText(parent, 'resource', 'spec.parentRef', checkPathSegment),
    ...requiredText(parent, 'name', 'spec.parentRef', checkPathSegment),
    ...optionalText(parent, 'namespace', 'spec.parentRef', checkPathSegment),
  ];
}

export function validateIPAddressUpdate(address: JsonObject, old: JsonObject): FieldError[] {
  return immutable(objectAt(address, 'spec') ?? {}, objectAt(old, 'spec') ?? {}, 'parentRef', 'spec.parentRef');
}

export function validateServiceCIDR(range: JsonObject): FieldError[] {
  const cidrs = stringsAt(range, 'spec', 'cidrs');
  if (cidrs.length === 0) return [required('spec.cidrs', 'at least one CIDR required')];
  if (cidrs.length > CIDRS_MAX) return [tooMany('spec.cidrs', cidrs.length, CIDRS_MAX)];
  const errors = cidrs.flatMap((cidr, index) => checkCidr(cidr).map((fault) => invalid(`spec.cidrs[${index}]`, cidr, fault)));
  const families = cidrs.map((cidr) => parseCidr(cidr)?.family);
  if (errors.length === 0 && families.length === CIDRS_MAX && families[0] === families[1]) {
    errors.push(invalid('spec.cidrs', cidrs, 'must specify one IP for each IP family'));
  }
  return errors;
}

/** A second family may be added, once. */
export function validateServiceCIDRUpdate(range: JsonObject, old: JsonObject): FieldError[] {
  const [cidrs, before] = [stringsAt(range, 'spec', 'cidrs'), stringsAt(old, 'spec', 'cidrs')];
  const isImmutable = 'field is immutable';
  if (cidrs.length === before.length) {
    return cidrs.flatMap((cidr, index) => (cidr === before[index] ? [] : [invalid(`spec.cidrs[${index}]`, cidr, isImmutable)]));
  }
  if (before.length === 1 && cidrs.length === CIDRS_MAX) {
    return cidrs[0] === before[0] ? [] : [invalid('spec.cidrs[0]', cidrs[0], isImmutable)];
  }
  return [invalid('spec.cidrs', cidrs, isImmutable)];
}
