import type { Json } from '../definition.ts';
import { cloneJson, isJsonObject, own, setOwn } from '../json-value.ts';

/** Applies a JSON merge patch; neither argument is changed. @see RFC 7386. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return cloneJson(patch);
  const result = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setOwn(result, key, applyMergePatch(own(result, key), value));
  }
  return result;
}
