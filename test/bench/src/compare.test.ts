import { describe, expect, it } from 'vitest';
import { compare, readable, summarize } from './compare.ts';

const contender = (name: string, values: readonly number[], log: string[] = []) => {
  let round = 0;
  return {
    name,
    measure: async () => {
      log.push(name);
      return { rate: values[round++] ?? Number.NaN };
    },
  };
};

describe('compare', () => {
  it('alternates who comes first', async () => {
    const order: string[] = [];
    await compare(
      {
        title: 't',
        setting: 's',
        rounds: 3,
        lowerIsBetter: [],
        contenders: [contender('ours', [1, 1, 1], order), contender('peer', [1, 1, 1], order)],
      },
      () => {},
    );
    expect(order).toEqual(['ours', 'peer', 'peer', 'ours', 'ours', 'peer']);
  });

  it('compares round with round and shows the spread', async () => {
    const { metrics } = await compare(
      {
        title: 't',
        setting: 's',
        rounds: 3,
        lowerIsBetter: [],
        contenders: [contender('ours', [10, 20, 30]), contender('peer', [10, 10, 10])],
        aims: [{ metric: 'rate', peer: 'peer', aim: '>= 1.0' }],
      },
      () => {},
    );
    expect(metrics[0]?.ratios).toEqual([{ peer: 'peer', ratio: { median: 2, min: 1, max: 3 }, aim: '>= 1.0' }]);
  });
});

describe('summarize', () => {
  it('turns a metric of which less is better round, so that above 1 is always in our favour', () => {
    const measured = new Map([
      ['ours', [{ ms: 5 }]],
      ['peer', [{ ms: 10 }]],
    ]);
    const [metric] = summarize({ contenders: [contender('ours', []), contender('peer', [])], lowerIsBetter: ['ms'] }, measured);
    expect(metric?.ratios[0]?.ratio.median).toBe(2);
  });
});

describe('readable', () => {
  it.each([
    [12_345.6, '12346'],
    [123.4, '123'],
    [1.2345, '1.23'],
    [0.012_34, '0.012'],
    [Number.NaN, '-'],
  ])('%d is shown as %s', (value, shown) => {
    expect(readable(value)).toBe(shown);
  });
});
