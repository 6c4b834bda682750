import { type JsonObject, toJsonText } from '@dure/api';
import type { Patch } from '../client.ts';

/** Lists that a strategic merge joins by a key rather than replaces, by field name. Enough for what controllers patch. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  conditions: 'type',
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  ownerReferences: 'uid',
  taints: 'key',
  addresses: 'type',
};
/** Lists of plain values that a strategic merge unites. */
const SETS: ReadonlySet<string> = new Set(['finalizers']);

/** A copy of `object` with `patch` applied. Server-side apply is treated as a strategic merge of what was sent. */
export function applyFakePatch(object: JsonObject, patch: Patch): JsonObject {
  switch (patch.kind) {
    case 'merge':
      return mergePatch(object, patch.patch) as JsonObject;
    case 'strategic':
      return strategicPatch(object, patch.patch, '') as JsonObject;
    case 'apply':
      return strategicPatch(object, patch.object, '') as JsonObject;
    case 'json':
      return patch.operations.reduce<JsonObject>((current, operation) => applyOperation(current, operation as Operation), object);
    default:
      return patch satisfies never;
  }
}

function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function strategicPatch(target: unknown, patch: unknown, field: string): unknown {
  if (Array.isArray(patch)) return strategicList(Array.isArray(target) ? target : [], patch, field);
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) && patch.$patch !== 'replace' ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch') continue;
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const list = key.slice('$deleteFromPrimitiveList/'.length);
      const gone = new Set(value as unknown[]);
      result[list] = ((result[list] as unknown[] | undefined) ?? []).filter((one) => !gone.has(one));
    } else if (key.startsWith('$')) {
      // Order directives change nothing that a controller reads.
    } else if (value === null) delete result[key];
    else result[key] = strategicPatch(result[key], value, key);
  }
  return result;
}

function strategicList(target: readonly unknown[], patch: readonly unknown[], field: string): unknown[] {
  if (SETS.has(field)) return [...new Set([...target, ...patch])];
  const mergeKey = MERGE_KEYS[field];
  if (mergeKey === undefined) return [...patch];
  const result = [...target];
  for (const entry of patch) {
    if (!isObject(entry)) continue;
    const at = result.findIndex((one) => isObject(one) && one[mergeKey] === entry[mergeKey]);
    if (entry.$patch === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) result[at] = strategicPatch(result[at], entry, '');
    else result.push(entry);
  }
  return result;
}

interface Operation {
  readonly op: 'add' | 'remove' | 'replace' | 'test';
  readonly path: string;
  readonly value?: unknown;
}

function applyOperation(object: JsonObject, { op, path, value }: Operation): JsonObject {
  const copy = structuredClone(object);
  const segments = path
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = segments.pop() ?? '';
  let parent: unknown = copy;
  for (const segment of segments) parent = (parent as Record<string, unknown>)[segment];
  if (!isObject(parent) && !Array.isArray(parent)) throw new Error(`json patch: nothing at ${path}`);
  if (op === 'test') {
    const actual = (parent as Record<string, unknown>)[last];
    if (toJsonText(actual) !== toJsonText(value)) throw new Error(`json patch: test of ${path} failed`);
  } else if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    if (op === 'add') parent.splice(index, 0, value);
    else if (op === 'remove') parent.splice(index, 1);
    else parent[index] = value;
  } else if (op === 'remove') delete (parent as Record<string, unknown>)[last];
  else (parent as Record<string, unknown>)[last] = value;
  return copy;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
