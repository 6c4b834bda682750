import { setImmediate } from 'node:timers';
import { CelCompiler } from '@dure/api';
import { expect, it } from 'vitest';
import type { PolicyCompiling } from './policy-set.ts';
import { compileValidations, findingsOf } from './validation-rules.ts';

it('lets others go on between expressions that take long', async () => {
  const compiling = { compiler: new CelCompiler(), variables: { declared: [] }, params: false } as unknown as PolicyCompiling;
  const dear = { expression: 'lists.range(30000).all(x, x >= 0)' };
  const rules = compileValidations({ validations: [dear, dear, dear] }, compiling);
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const { failures } = await findingsOf(rules, new Map());
  isOver = true;
  expect(failures).toEqual([]);
  expect(turns).toBeGreaterThanOrEqual(3);
});
