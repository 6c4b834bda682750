import { describe, expect, it } from 'vitest';
import { Scope } from './scope.ts';

describe('Scope', () => {
  it('gives back newest first, once', async () => {
    const order: string[] = [];
    const scope = new Scope();
    scope.defer(() => order.push('first opened'));
    scope.use({
      async [Symbol.asyncDispose]() {
        order.push('second opened');
      },
    });
    await scope[Symbol.asyncDispose]();
    await scope[Symbol.asyncDispose]();
    expect(order).toEqual(['second opened', 'first opened']);
  });

  it('runs every step when some fail, then says which failed', async () => {
    const order: string[] = [];
    const scope = new Scope();
    scope.defer(() => order.push('ran'));
    scope.defer(() => {
      throw new Error('stuck');
    });
    const failure = await scope[Symbol.asyncDispose]().catch((error: unknown) => error);
    expect(order).toEqual(['ran']);
    expect((failure as AggregateError).errors.map(String)).toEqual(['Error: stuck']);
  });

  it('refuses a step after its end', async () => {
    const scope = new Scope();
    await scope[Symbol.asyncDispose]();
    expect(() => scope.defer(() => undefined)).toThrow('disposed');
  });
});
