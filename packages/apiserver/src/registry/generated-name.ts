import type { Random } from '@dure/foundation';

/** No vowels, so that no words appear, and nothing that is mistaken for something else. @see apimachinery, `util/rand` */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
/** Leaves room for the suffix within the 63 characters of a label. */
const BASE_LENGTH_MAX = 63 - SUFFIX_LENGTH;

/** `prefix` with a random suffix. */
export function generatedName(prefix: string, random: Random): string {
  let suffix = '';
  for (let length = 0; length < SUFFIX_LENGTH; length += 1) suffix += ALPHABET[random.integer(ALPHABET.length)];
  return `${prefix.slice(0, BASE_LENGTH_MAX)}${suffix}`;
}
