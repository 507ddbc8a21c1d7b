import { expect, test } from 'vitest';

import { levelOf } from './devices';

test('a level has a peak, an average, and full scale is a clip', () => {
  const sine = Float32Array.from({ length: 4800 }, (_, at) => Math.sin((at / 48) * 2 * Math.PI) / 2);
  const level = levelOf(sine);
  expect(level.peak_dbfs).toBeCloseTo(-6.02, 1);
  expect(level.rms_dbfs).toBeCloseTo(-9.03, 1);
  expect(level.clipped).toBe(false);
  expect(levelOf(Float32Array.of(0.1, -1)).clipped).toBe(true);
  expect(levelOf(new Float32Array(8))).toEqual({ peak_dbfs: -100, rms_dbfs: -100, clipped: false });
});
