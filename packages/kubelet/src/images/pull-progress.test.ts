import { describe, expect, it } from 'vitest';
import { pullProgressReporter } from './pull-progress.ts';

const progress = { layersDone: 2, layersTotal: 5, bytesDone: 41_230_000, bytesTotal: 120_000_000 };

describe('pullProgressReporter', () => {
  it('says how far a pull has come', () => {
    expect(pullProgressReporter('web:1', 0)(progress, 10_000)).toBe('Pulling image "web:1": 2 of 5 layers, 41.2 of 120.0 MB');
  });

  it('is silent for quick pulls and bounded for long ones', () => {
    const report = pullProgressReporter('web:1', 5_000);
    const spoken = Array.from({ length: 24 * 3600 }, (_, second) => 5_000 + second * 1000).filter(
      (nowMs) => report(progress, nowMs) !== undefined,
    );
    expect(spoken[0]).toBe(15_000);
    expect(spoken.length).toBeLessThan(15);
  });
});
