/** Probes and lifecycle hooks. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, required } from '../../field-error.ts';
import { integerAt, listAt, numberAt, objectAt, objectsAt, own, stringAt } from '../../json-value.ts';
import { checkHttpHeaderName, checkPortNumber } from '../../name-syntax.ts';
import { checked, nonNegative, oneOf, portOrName, requiredText } from '../rules.ts';

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'];
const PROBE_AMOUNTS = ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'];

/** Faults of a container's probes and hooks. Init containers have them only where they run on (`restartPolicy: Always`). */
export function validateLifecycleAndProbes(
  container: JsonObject,
  path: string,
  allowed: boolean,
  graceSeconds: number | bigint | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']) {
    const value = objectAt(container, field);
    if (value === undefined) continue;
    const at = `${path}.${field}`;
    if (!allowed) errors.push(forbidden(at, 'may not be set for init containers without restartPolicy=Always'));
    else if (field === 'lifecycle') errors.push(...validateLifecycle(value, at, graceSeconds));
    else errors.push(...validateProbe(value, at, field));
  }
  return errors;
}

function validateLifecycle(lifecycle: JsonObject, path: string, graceSeconds: number | bigint | undefined): FieldError[] {
  return ['postStart', 'preStop'].flatMap((hook) => {
    const handler = objectAt(lifecycle, hook);
    return handler === undefined ? [] : validateHandler(handler, `${path}.${hook}`, graceSeconds);
  });
}

function validateProbe(probe: JsonObject, path: string, kind: string): FieldError[] {
  const errors = validateHandler(probe, path, undefined);
  for (const field of PROBE_AMOUNTS) errors.push(...nonNegative(probe, field, path));
  const grace = integerAt(probe, 'terminationGracePeriodSeconds');
  if (grace !== undefined && grace <= 0) errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  const successes = numberAt(probe, 'successThreshold') ?? 1;
  if (kind !== 'readinessProbe') {
    if (successes !== 1) errors.push(invalid(`${path}.successThreshold`, successes, 'must be 1'));
  } else if (grace !== undefined) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
  }
  return errors;
}

function validateHandler(handler: JsonObject, path: string, graceSeconds: number | bigint | undefined): FieldError[] {
  const errors: FieldError[] = [];
  let seen = 0;
  for (const kind of HANDLERS) {
    const action = objectAt(handler, kind);
    if (action === undefined) continue;
    seen += 1;
    const at = `${path}.${kind}`;
    if (seen > 1) errors.push(forbidden(at, 'may not specify more than 1 handler type'));
    else errors.push(...validateAction(kind, action, at, graceSeconds));
  }
  if (seen === 0) errors.push(required(path, 'must specify a handler type'));
  return errors;
}

function validateAction(kind: string, action: JsonObject, path: string, graceSeconds: number | bigint | undefined): FieldError[] {
  switch (kind) {
    case 'exec':
      return listAt(action, 'command').length === 0 ? [required(`${path}.command`)] : [];
    case 'httpGet':
      return [
        ...requiredText(action, 'path', path),
        ...portOrName(own(action, 'port'), `${path}.port`),
        ...oneOf(action, 'scheme', path, ['HTTP', 'HTTPS'], true),
        ...objectsAt(action, 'httpHeaders').flatMap((header, index) =>
          checked(`${path}.httpHeaders[${index}].name`, stringAt(header, 'name'), checkHttpHeaderName),
        ),
      ];
    case 'tcpSocket':
      return portOrName(own(action, 'port'), `${path}.port`);
    case 'grpc': {
      const port = numberAt(action, 'port') ?? 0;
      return checkPortNumber(port).map((fault) => invalid(`${path}.port`, port, fault));
    }
    default: {
      const seconds = integerAt(action, 'seconds') ?? 0;
      if (graceSeconds === undefined || (seconds >= 0 && seconds <= graceSeconds)) return [];
      return [invalid(path, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`)];
    }
  }
}
