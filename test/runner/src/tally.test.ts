import { describe, expect, it } from 'vitest';
import { planStages } from './stages.ts';
import { renderTally, sum } from './tally.ts';

describe('the closing line', () => {
  it('adds the stages up', () => {
    const total = sum([
      { passed: 3, failed: 0, skipped: 1 },
      { passed: 4, failed: 2, skipped: 0 },
    ]);
    expect(renderTally(total)).toBe('7 passed, 2 failed, 1 skipped');
  });
});

describe('planStages', () => {
  it('says why a stage cannot run without root', () => {
    const unavailable = planStages({ root: false, isolationUnavailable: 'needs root' }).flatMap(({ name, unavailable: reason }) =>
      reason === undefined ? [] : [name],
    );
    expect(unavailable).toEqual(['node', 'end to end', 'lab']);
    expect(planStages({ root: true, isolationUnavailable: undefined }).every(({ unavailable: reason }) => reason === undefined)).toBe(true);
  });
});
