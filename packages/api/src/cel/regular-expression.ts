import { RE2JS } from 're2js';
import type { Budget } from './budget.ts';
import { CelEvaluationError } from './cel-error.ts';
import type { CelType } from './cel-type.ts';
import type { CelValue } from './cel-value.ts';
import type { define, Overload } from './overload.ts';

/** Longer patterns are refused: compiling them costs more than any rule is worth. */
const PATTERN_LENGTH_MAX = 1000;
/** Steps of a compiled pattern. */
const SIZE_MAX = 20_000;

/** Matching takes this many times what upstream prices it at, and compiling is no part of the price. */
const MATCH_WORK = 2;
const COMPILE_WORK = 200;
const COMPILE_WORK_PER_STEP = 10;

/** @throws {CelEvaluationError} The pattern is malformed, or too large. */
export function compilePattern(pattern: string): RE2JS {
  if (pattern.length > PATTERN_LENGTH_MAX) throw new CelEvaluationError(`regular expression of more than ${PATTERN_LENGTH_MAX} characters`);
  if (sizeOf(pattern) > SIZE_MAX) throw new CelEvaluationError(`regular expression is too large: ${pattern}`);
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    throw new CelEvaluationError(`error parsing regexp: ${(cause as Error).message}`);
  }
}

/** A function `text, pattern, ...`: a pattern that stands in the text is compiled once. @param limit The third argument; -1 where there is none. */
export function matching(
  make: typeof define,
  name: string,
  params: readonly CelType[],
  result: CelType,
  run: (text: string, pattern: RE2JS, limit: bigint, budget: Budget) => CelValue,
): Overload {
  const match = (compiled: RE2JS, args: readonly CelValue[], budget: Budget): CelValue => {
    const [text, pattern, limit = -1n] = args as readonly [string, string, bigint?];
    budget.work(Math.ceil((text.length + 1) * 0.1) * Math.ceil(Math.max(pattern.length, 1) * 0.25) * MATCH_WORK);
    return run(text, compiled, limit, budget);
  };
  return {
    ...make<readonly CelValue[]>(name, params, result, (args, budget) => {
      const pattern = args[1] as string;
      if (pattern.length <= PATTERN_LENGTH_MAX) budget.work(COMPILE_WORK + sizeOf(pattern) * COMPILE_WORK_PER_STEP);
      return match(compilePattern(pattern), args, budget);
    }),
    prepare([, pattern]) {
      if (typeof pattern !== 'string') return undefined;
      const compiled = compilePattern(pattern);
      return (args, budget) => match(compiled, args, budget);
    },
  };
}

/** About how many steps `pattern` compiles to: counted repetition copies what it repeats, and nested counts multiply. */
function sizeOf(pattern: string): number {
  const open: { sum: number; last: number }[] = [];
  let group = { sum: 0, last: 0 };
  const add = (size: number): void => {
    group.sum += size;
    group.last = size;
  };
  for (const [part] of pattern.matchAll(/\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d+(?:,\d*)?\}|[\s\S]/g)) {
    const count = /^\{(\d+)(?:,(\d*))?\}$/.exec(part);
    if (count !== null) {
      const times = Math.max(Number(count[2] || count[1]), 1);
      group.sum += group.last * (times - 1);
      group.last *= times;
    } else if (part === '(') {
      open.push(group);
      group = { sum: 0, last: 0 };
    } else if (part === ')') {
      const { sum } = group;
      group = open.pop() ?? { sum: 0, last: 0 };
      add(sum + 1);
    } else add(1);
  }
  return group.sum + open.reduce((sum, outer) => sum + outer.sum, 0);
}
