import { toJsonText } from '@dure/api';

/** Letters that spell no words, the ones that generated names use. */
const SAFE_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * A short name for a value: the same for equal values, whatever the order of their fields. 32-bit FNV-1a, so two values may share one:
 * `collisions` counts how often that was met and gives another name.
 */
export function templateHash(value: unknown, collisions = 0): string {
  let hash = fnv1a(FNV_OFFSET, Buffer.from(toJsonText(sorted(value))));
  if (collisions > 0) hash = fnv1a(hash, Buffer.from(String(collisions)));
  return [...String(hash)].map((digit) => SAFE_LETTERS[digit.charCodeAt(0) % SAFE_LETTERS.length]).join('');
}

function fnv1a(start: number, bytes: Uint8Array): number {
  let hash = start;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME) >>> 0;
  return hash >>> 0;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
