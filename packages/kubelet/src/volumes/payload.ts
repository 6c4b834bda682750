import type { ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret } from '@dure/api';
import { ContainerConfigError } from '../config/config-error.ts';
import { type FieldFacts, fieldValue, resourceValue } from '../config/field-reference.ts';
import type { ProjectedFile } from './atomic-writer.ts';

export const DEFAULT_FILE_MODE = 0o644;

/** Thrown with what the FailedMount event should say. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
  readonly code = 'KUBELET_VOLUME_PAYLOAD';
}

interface Selection {
  readonly items: readonly KeyToPath[] | undefined;
  readonly defaultMode: number | undefined;
  readonly optional: boolean | undefined;
}

/** A ConfigMap's files. @throws {PayloadError} A key that is asked for is missing. */
export function configMapFiles(configMap: ConfigMap | undefined, name: string, selection: Selection): readonly [string, ProjectedFile][] {
  if (configMap === undefined) return missing(`configmap "${name}" not found`, selection);
  const entries = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(configMap.data ?? {})) entries.set(key, Buffer.from(value, 'utf8'));
  for (const [key, value] of Object.entries(configMap.binaryData ?? {})) entries.set(key, Buffer.from(value, 'base64'));
  return select(entries, selection, 'configmap');
}

export function secretFiles(secret: Secret | undefined, name: string, selection: Selection): readonly [string, ProjectedFile][] {
  if (secret === undefined) return missing(`secret "${name}" not found`, selection);
  const entries = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(secret.data ?? {})) entries.set(key, Buffer.from(value, 'base64'));
  return select(entries, selection, 'secret');
}

/** @throws {PayloadError} A field or container that does not exist. */
export function downwardFiles(
  pod: Pod,
  items: readonly DownwardAPIVolumeFile[],
  defaultMode: number | undefined,
  facts: FieldFacts,
): readonly [string, ProjectedFile][] {
  return items.map(({ path, mode, fieldRef, resourceFieldRef }) => {
    let value = '';
    try {
      if (fieldRef !== undefined) value = fieldValue(pod, fieldRef, facts);
      else if (resourceFieldRef !== undefined) {
        const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
        const container = all.find(({ name }) => name === resourceFieldRef.containerName);
        if (container === undefined) throw new PayloadError(`container ${resourceFieldRef.containerName} not found`);
        value = resourceValue(container, resourceFieldRef, facts);
      }
    } catch (error) {
      if (error instanceof ContainerConfigError) throw new PayloadError(error.message, { cause: error });
      throw error;
    }
    return [cleanPath(path), { content: Buffer.from(value, 'utf8'), mode: mode ?? defaultMode ?? DEFAULT_FILE_MODE }];
  });
}

/** A path inside a volume. The API refuses these too; a volume written outside itself would be the node's loss. @throws {PayloadError} */
export function cleanPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.startsWith('/') || parts.length === 0 || parts.includes('..')) throw new PayloadError(`invalid path "${path}"`);
  if (parts[0]?.startsWith('..')) throw new PayloadError(`invalid path "${path}": must not start with '..'`);
  return parts.join('/');
}

function missing(message: string, { optional }: Selection): readonly [string, ProjectedFile][] {
  if (optional === true) return [];
  throw new PayloadError(message);
}

function select(
  entries: ReadonlyMap<string, Uint8Array>,
  { items, defaultMode = DEFAULT_FILE_MODE, optional }: Selection,
  what: string,
): readonly [string, ProjectedFile][] {
  if (items === undefined || items.length === 0) {
    return [...entries].map(([key, content]) => [cleanPath(key), { content, mode: defaultMode }]);
  }
  const files: [string, ProjectedFile][] = [];
  for (const { key, path, mode } of items) {
    const content = entries.get(key);
    if (content !== undefined) files.push([cleanPath(path), { content, mode: mode ?? defaultMode }]);
    else if (optional !== true) throw new PayloadError(`references non-existent ${what === 'configmap' ? 'config' : what} key: ${key}`);
  }
  return files;
}
