/** Containers of the three sorts. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { objectAt, objectsAt, own, stringAt } from '../../json-value.ts';
import { checkDns1123Label } from '../../name-syntax.ts';
import { oneOf, requiredText } from '../rules.ts';
import { validateEnv } from './env-validation.ts';
import { validateHostPorts, validatePorts } from './port-validation.ts';
import { validateLifecycleAndProbes } from './probe-validation.ts';
import { validateResources } from './resources-validation.ts';
import { validateContainerSecurity } from './security-validation.ts';
import { validateMounts } from './volume-validation.ts';

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const MESSAGE_POLICIES = ['FallbackToLogsOnError', 'File'];
const RESTART_POLICIES = ['Always', 'Never', 'OnFailure'];
/** What a container that is only looked through may not have: it has no part in the Pod's life. */
const NOT_EPHEMERAL = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'resources', 'resizePolicy'];

/** What containers refer to in the rest of their Pod. */
export interface ContainerSurroundings {
  readonly volumes: ReadonlyMap<string, JsonObject>;
  readonly claims: readonly string[];
  readonly graceSeconds: number | bigint | undefined;
}

/** Faults of all containers of a Pod's spec. */
export function validateContainers(spec: JsonObject, path: string, surroundings: ContainerSurroundings): FieldError[] {
  const containers = objectsAt(spec, 'containers');
  const names = new Set<string>();
  const errors: FieldError[] = [];
  if (containers.length === 0) errors.push(required(`${path}.containers`));
  for (const [index, container] of containers.entries()) {
    const at = `${path}.containers[${index}]`;
    errors.push(...validateCommon(container, at, surroundings), ...uniqueName(container, at, names));
    errors.push(...validateLifecycleAndProbes(container, at, true, surroundings.graceSeconds));
    errors.push(...oneOf(container, 'restartPolicy', at, RESTART_POLICIES));
  }
  errors.push(...validateHostPorts(containers, `${path}.containers`));
  for (const [index, container] of objectsAt(spec, 'initContainers').entries()) {
    const at = `${path}.initContainers[${index}]`;
    errors.push(...validateCommon(container, at, surroundings), ...uniqueName(container, at, names));
    const isSidecar = stringAt(container, 'restartPolicy') === 'Always';
    errors.push(...validateLifecycleAndProbes(container, at, isSidecar, surroundings.graceSeconds));
    errors.push(...oneOf(container, 'restartPolicy', at, RESTART_POLICIES));
    errors.push(...validateHostPorts([container], at));
  }
  for (const [index, container] of objectsAt(spec, 'ephemeralContainers').entries()) {
    errors.push(...validateEphemeral(container, `${path}.ephemeralContainers[${index}]`, names, spec, surroundings));
  }
  return errors;
}

function validateCommon(container: JsonObject, path: string, { volumes, claims }: ContainerSurroundings): FieldError[] {
  const errors = requiredText(container, 'name', path, checkDns1123Label);
  const image = stringAt(container, 'image');
  if (image === '') errors.push(required(`${path}.image`));
  else if (image !== image.trim()) errors.push(invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'));
  errors.push(...oneOf(container, 'terminationMessagePolicy', path, MESSAGE_POLICIES, true));
  errors.push(...oneOf(container, 'imagePullPolicy', path, PULL_POLICIES, true));
  errors.push(...validatePorts(container, path), ...validateEnv(container, path), ...validateMounts(container, path, volumes));
  errors.push(...validateResources(objectAt(container, 'resources') ?? {}, `${path}.resources`, claims));
  errors.push(...validateResize(container, path), ...validateContainerSecurity(container, path));
  return errors;
}

function uniqueName(container: JsonObject, path: string, names: Set<string>): FieldError[] {
  const name = stringAt(container, 'name');
  if (name === '') return [];
  if (names.has(name)) return [duplicate(`${path}.name`, name)];
  names.add(name);
  return [];
}

function validateResize(container: JsonObject, path: string): FieldError[] {
  const seen = new Set<string>();
  return objectsAt(container, 'resizePolicy').flatMap((policy, index) => {
    const at = `${path}.resizePolicy[${index}]`;
    const resource = stringAt(policy, 'resourceName');
    const errors: FieldError[] = [];
    if (resource === '') errors.push(required(at));
    else if (resource !== 'cpu' && resource !== 'memory') errors.push(notSupported(at, resource, ['cpu', 'memory']));
    if (seen.has(resource)) errors.push(duplicate(at, resource));
    seen.add(resource);
    return [...errors, ...oneOf(policy, 'restartPolicy', at, ['NotRequired', 'RestartContainer'], true)];
  });
}

function validateEphemeral(
  container: JsonObject,
  path: string,
  names: Set<string>,
  spec: JsonObject,
  surroundings: ContainerSurroundings,
): FieldError[] {
  const errors = [...validateCommon(container, path, surroundings), ...uniqueName(container, path, names)];
  const target = stringAt(container, 'targetContainerName');
  const targets = [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')].map((each) => stringAt(each, 'name'));
  if (target !== '' && !targets.includes(target)) {
    errors.push({ reason: 'FieldValueNotFound', field: `${path}.targetContainerName`, message: `Not found: ${JSON.stringify(target)}` });
  }
  for (const field of NOT_EPHEMERAL) {
    const value = own(container, field);
    const empty = value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
    if (!empty) errors.push(forbidden(`${path}.${field}`, 'cannot be set for an Ephemeral Container'));
  }
  for (const [index, mount] of objectsAt(container, 'volumeMounts').entries()) {
    for (const field of ['subPath', 'subPathExpr']) {
      if (stringAt(mount, field) !== '') {
        errors.push(forbidden(`${path}.volumeMounts[${index}].${field}`, 'cannot be set for an Ephemeral Container'));
      }
    }
  }
  return errors;
}
