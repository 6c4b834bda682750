import { RE2JS } from 're2js';
import type { Budget } from './budget.ts';
import { CelEvaluationError } from './cel-error.ts';

/** Longer patterns are refused: compiling them costs more than any rule is worth. */
const PATTERN_LENGTH_MAX = 1000;
/** Counted repetition copies what it repeats. */
const REPEAT_MAX = 1000;

/** @throws {CelEvaluationError} The pattern is malformed, or too large. */
export function compilePattern(pattern: string): RE2JS {
  if (pattern.length > PATTERN_LENGTH_MAX) throw new CelEvaluationError(`regular expression of more than ${PATTERN_LENGTH_MAX} characters`);
  // Nested counts multiply; RE2 bounds the whole program, and this bounds it before anything is built.
  let product = 1;
  for (const match of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) product *= Math.max(Number(match[2] || match[1]), 1);
  if (product > REPEAT_MAX * 10) throw new CelEvaluationError(`regular expression is too large: ${pattern}`);
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    throw new CelEvaluationError(`error parsing regexp: ${(cause as Error).message}`);
  }
}

/** Upstream's price of matching: the text times the pattern, each at a fraction. */
export function chargeMatch(text: string, pattern: string, budget: Budget): void {
  budget.charge(Math.ceil((text.length + 1) * 0.1) * Math.ceil(Math.max(pattern.length, 1) * 0.25));
}
