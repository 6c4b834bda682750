/** The expression cannot be compiled: no syntax, no such field, no overload for these types. */
export class CelCompileError extends Error {
  override readonly name = 'CelCompileError';
  readonly code = 'CEL_COMPILE';
}

/** An expression that compiled came to no value: no such key, division by zero, a malformed regular expression. */
export class CelEvaluationError extends Error {
  override readonly name = 'CelEvaluationError';
  readonly code = 'CEL_EVALUATION';
}

/** The expression took more steps than it may. Nothing within an expression can catch it. */
export class CelBudgetError extends Error {
  override readonly name = 'CelBudgetError';
  readonly code = 'CEL_BUDGET';
}

/** `message` with the place it is about, as cel-go shows it. @param offset Of the place in `text`. */
export function locatedMessage(message: string, text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  const column = before.at(-1)?.length ?? 0;
  const line = text.split('\n')[before.length - 1] ?? '';
  return `ERROR: <input>:${before.length}:${column + 1}: ${message}\n | ${line}\n | ${'.'.repeat(column)}^`;
}
