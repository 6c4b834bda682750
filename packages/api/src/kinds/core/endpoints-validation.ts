/** Endpoints and EndpointSlices. */
import { checkIP } from '../../address-syntax.ts';
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '../../field-error.ts';
import { listAt, numberAt, objectAt, objectsAt, stringAt, stringsAt } from '../../json-value.ts';
import { type Labels, validateLabels } from '../../label-selector.ts';
import { checkDns1123Label, checkDns1123Subdomain, checkPortNumber, checkQualifiedName } from '../../name-syntax.ts';
import { checked, immutable, oneOf } from '../rules.ts';
import { externalIPFaults } from './service.ts';

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];
const ENDPOINTS_MAX = 1000;
const ADDRESSES_MAX = 100;
const PORTS_MAX = 20_000;

export function validateEndpoints(endpoints: JsonObject): FieldError[] {
  return objectsAt(endpoints, 'subsets').flatMap((subset, index) => {
    const at = `subsets[${index}]`;
    const errors: FieldError[] = [];
    if (listAt(subset, 'addresses').length === 0 && listAt(subset, 'notReadyAddresses').length === 0) {
      errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
    }
    for (const field of ['addresses', 'notReadyAddresses']) {
      for (const [position, address] of objectsAt(subset, field).entries()) {
        const path = `${at}.${field}[${position}]`;
        errors.push(...externalIPFaults(stringAt(address, 'ip'), `${path}.ip`));
        const hostname = stringAt(address, 'hostname');
        if (hostname !== '') errors.push(...checked(`${path}.hostname`, hostname, checkDns1123Label));
        const nodeName = stringAt(address, 'nodeName');
        if (nodeName !== '') errors.push(...checked(`${path}.nodeName`, nodeName, checkDns1123Subdomain));
      }
    }
    const ports = objectsAt(subset, 'ports');
    for (const [position, port] of ports.entries()) {
      const path = `${at}.ports[${position}]`;
      const name = stringAt(port, 'name');
      if (ports.length > 1 && name === '') errors.push(required(`${path}.name`));
      else if (name !== '') errors.push(...checked(`${path}.name`, name, checkDns1123Label));
      const number = numberAt(port, 'port') ?? 0;
      errors.push(...checkPortNumber(number).map((fault) => invalid(`${path}.port`, number, fault)));
      errors.push(...oneOf(port, 'protocol', path, PROTOCOLS, true));
    }
    return errors;
  });
}

export function validateEndpointSlice(slice: JsonObject): FieldError[] {
  const type = stringAt(slice, 'addressType');
  const errors: FieldError[] = [];
  if (type === '') errors.push(required('addressType'));
  else if (!ADDRESS_TYPES.includes(type)) errors.push(notSupported('addressType', type, ADDRESS_TYPES));
  const endpoints = objectsAt(slice, 'endpoints');
  if (endpoints.length > ENDPOINTS_MAX) return [...errors, tooMany('endpoints', endpoints.length, ENDPOINTS_MAX)];
  for (const [index, endpoint] of endpoints.entries()) errors.push(...validateEndpoint(endpoint, type, `endpoints[${index}]`));
  const ports = objectsAt(slice, 'ports');
  if (ports.length > PORTS_MAX) return [...errors, tooMany('ports', ports.length, PORTS_MAX)];
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name !== '') errors.push(...checked(`${at}.name`, name, checkDns1123Label));
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    errors.push(...oneOf(port, 'protocol', at, PROTOCOLS, true));
    const application = stringAt(port, 'appProtocol');
    if (application !== '') errors.push(...checked(`${at}.appProtocol`, application, checkQualifiedName));
  }
  return errors;
}

export function validateEndpointSliceUpdate(slice: JsonObject, old: JsonObject): FieldError[] {
  return immutable(slice, old, 'addressType', 'addressType');
}

function validateEndpoint(endpoint: JsonObject, type: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const addresses = stringsAt(endpoint, 'addresses');
  if (addresses.length === 0) errors.push(required(`${path}.addresses`, 'must contain at least 1 address'));
  else if (addresses.length > ADDRESSES_MAX) errors.push(tooMany(`${path}.addresses`, addresses.length, ADDRESSES_MAX));
  for (const [index, address] of addresses.entries()) {
    const at = `${path}.addresses[${index}]`;
    if (type === 'FQDN') errors.push(...checked(at, address, checkDns1123Subdomain));
    else if (type === 'IPv4' || type === 'IPv6') {
      const faults = checkIP(address);
      if (faults.length > 0 || address.includes(':') !== (type === 'IPv6'))
        errors.push(invalid(at, address, `must be a valid ${type} address`));
      else errors.push(...externalIPFaults(address, at));
    }
  }
  const hostname = stringAt(endpoint, 'hostname');
  if (hostname !== '') errors.push(...checked(`${path}.hostname`, hostname, checkDns1123Label));
  const nodeName = stringAt(endpoint, 'nodeName');
  if (nodeName !== '') errors.push(...checked(`${path}.nodeName`, nodeName, checkDns1123Subdomain));
  return [...errors, ...validateLabels((objectAt(endpoint, 'deprecatedTopology') ?? {}) as Labels, `${path}.deprecatedTopology`)];
}
