/** Ports of containers. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, invalid, required } from '../../field-error.ts';
import { numberAt, objectsAt, stringAt } from '../../json-value.ts';
import { checkPortName, checkPortNumber } from '../../name-syntax.ts';
import { oneOf } from '../rules.ts';

/** The ports of a container, their names unique and their numbers real. */
export function validatePorts(container: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, port] of objectsAt(container, 'ports').entries()) {
    const at = `${path}.ports[${index}]`;
    errors.push(...validatePort(port, at));
    const name = stringAt(port, 'name');
    if (name !== '' && names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
  }
  return errors;
}

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

function validatePort(port: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(port, 'name');
  if (name !== '') errors.push(...portName(name, `${path}.name`));
  const number = numberAt(port, 'containerPort') ?? 0;
  if (number === 0) errors.push(required(`${path}.containerPort`));
  else errors.push(...portNumber(number, `${path}.containerPort`));
  const hostPort = numberAt(port, 'hostPort') ?? 0;
  if (hostPort !== 0) errors.push(...portNumber(hostPort, `${path}.hostPort`));
  errors.push(...oneOf(port, 'protocol', path, PROTOCOLS, true));
  return errors;
}

function portName(name: string, path: string): FieldError[] {
  return checkPortName(name).map((fault) => invalid(path, name, fault));
}

function portNumber(number: number, path: string): FieldError[] {
  return checkPortNumber(number).map((fault) => invalid(path, number, fault));
}

/** Host ports that two containers of one Pod would both bind. */
export function validateHostPorts(containers: readonly JsonObject[], path: string): FieldError[] {
  const seen = new Set<string>();
  return containers.flatMap((container, index) =>
    objectsAt(container, 'ports').flatMap((port, position) => {
      const hostPort = numberAt(port, 'hostPort') ?? 0;
      if (hostPort === 0) return [];
      const identity = `${stringAt(port, 'protocol')}/${stringAt(port, 'hostIP')}/${hostPort}`;
      if (seen.has(identity)) return [duplicate(`${path}[${index}].ports[${position}].hostPort`, identity)];
      seen.add(identity);
      return [];
    }),
  );
}
