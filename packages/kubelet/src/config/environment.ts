import type { ConfigMap, Container, EnvVar, Pod, Secret, Service } from '@dure/api';
import { ContainerConfigError } from './config-error.ts';
import { expandReferences } from './expansion.ts';
import { type FieldFacts, fieldValue, resourceValue } from './field-reference.ts';
import { serviceEnvironment } from './service-environment.ts';

/** Objects that variables and volumes are made from. `undefined`: it does not exist. Throws when that cannot be known. */
export interface ObjectSource {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
}

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly objects: ObjectSource;
  readonly services: readonly Service[];
  readonly facts: FieldFacts;
  /** Reads a variable from an env file in one of the Pod's volumes; `undefined`: no such file or key. */
  readonly fileValue: (volumeName: string, path: string, key: string) => Promise<string | undefined>;
}

/** The container's variables in order, later ones having seen earlier ones. @throws {ContainerConfigError} A source is missing. */
export async function environmentOf(input: EnvironmentInput): Promise<ReadonlyMap<string, string>> {
  const { pod, container, services } = input;
  const fromServices = serviceEnvironment(services, pod.metadata.namespace ?? '', pod.spec?.enableServiceLinks ?? true);
  const env = new Map<string, string>();

  for (const source of container.envFrom ?? []) {
    const data = await dataOfSource(input, source);
    for (const key of Object.keys(data).sort()) env.set(`${source.prefix ?? ''}${key}`, data[key] ?? '');
  }
  for (const variable of container.env ?? []) {
    const value = await variableValue(input, variable, env, fromServices);
    if (value !== undefined) env.set(variable.name, value);
  }
  // The user's own names win over those of Services.
  for (const [name, value] of fromServices) if (!env.has(name)) env.set(name, value);
  return env;
}

async function dataOfSource(
  { pod, objects }: EnvironmentInput,
  { configMapRef, secretRef }: NonNullable<Container['envFrom']>[number],
): Promise<Readonly<Record<string, string>>> {
  const namespace = pod.metadata.namespace ?? '';
  if (configMapRef !== undefined) {
    const found = await objects.configMap(namespace, configMapRef.name ?? '');
    if (found === undefined && configMapRef.optional !== true) throw new ContainerConfigError(`configmap "${configMapRef.name}" not found`);
    return found?.data ?? {};
  }
  if (secretRef !== undefined) {
    const found = await objects.secret(namespace, secretRef.name ?? '');
    if (found === undefined && secretRef.optional !== true) throw new ContainerConfigError(`secret "${secretRef.name}" not found`);
    return Object.fromEntries(Object.entries(found?.data ?? {}).map(([key, value]) => [key, decodeBase64(value)]));
  }
  return {};
}

/** `undefined`: an optional source is missing, so the variable does not exist. */
async function variableValue(
  input: EnvironmentInput,
  variable: EnvVar,
  env: ReadonlyMap<string, string>,
  fromServices: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  const { pod, container, objects, facts } = input;
  const namespace = pod.metadata.namespace ?? '';
  const { valueFrom } = variable;
  if (valueFrom === undefined || (variable.value !== undefined && variable.value !== '')) {
    return expandReferences(variable.value ?? '', (name) => env.get(name) ?? fromServices.get(name));
  }
  if (valueFrom.fieldRef !== undefined) return fieldValue(pod, valueFrom.fieldRef, facts);
  if (valueFrom.resourceFieldRef !== undefined) {
    const { containerName } = valueFrom.resourceFieldRef;
    const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    const target = containerName === undefined || containerName === '' ? container : all.find(({ name }) => name === containerName);
    if (target === undefined) throw new ContainerConfigError(`container ${containerName} not found`);
    return resourceValue(target, valueFrom.resourceFieldRef, facts);
  }
  if (valueFrom.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = valueFrom.configMapKeyRef;
    const found = await objects.configMap(namespace, name);
    const value = found?.data?.[key];
    if (value !== undefined || optional === true) return value;
    throw new ContainerConfigError(
      found === undefined ? `configmap "${name}" not found` : `couldn't find key ${key} in ConfigMap ${namespace}/${name}`,
    );
  }
  if (valueFrom.secretKeyRef !== undefined) {
    const { name = '', key, optional } = valueFrom.secretKeyRef;
    const found = await objects.secret(namespace, name);
    const value = found?.data?.[key];
    if (value !== undefined) return decodeBase64(value);
    if (optional === true) return undefined;
    throw new ContainerConfigError(
      found === undefined ? `secret "${name}" not found` : `couldn't find key ${key} in Secret ${namespace}/${name}`,
    );
  }
  if (valueFrom.fileKeyRef !== undefined) {
    const { volumeName, path, key, optional } = valueFrom.fileKeyRef;
    const value = await input.fileValue(volumeName, path, key);
    if (value !== undefined || optional === true) return value;
    throw new ContainerConfigError(`environment variable key "${key}" not found in file "${path}"`);
  }
  return '';
}

function decodeBase64(value: string): string {
  return Buffer.from(value, 'base64').toString('utf8');
}
