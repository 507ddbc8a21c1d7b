import { expect, test } from 'vitest';

import { Recent } from './recent';

test('the rate is that of the intervals, and falls when nothing comes', () => {
  const recent = new Recent(10_000);
  expect(recent.perSecond(0)).toBe(0);
  for (let at = 0; at <= 1000; at += 100) recent.push(at, 1);
  expect(recent.perSecond(1000)).toBeCloseTo(10);
  expect(recent.perSecond(2100)).toBeCloseTo(5);
  expect(recent.perSecond(60_000)).toBe(0);
});

test('percentiles are those of the values in the window', () => {
  const recent = new Recent(1000);
  expect(recent.percentile(0.5, 0)).toBeNull();
  recent.push(0, 9999);
  for (let value = 1; value <= 100; value += 1) recent.push(1001, value);
  expect(recent.percentile(0.5, 1001)).toBe(50);
  expect(recent.percentile(0.95, 1001)).toBe(95);
  expect(recent.percentile(1, 1001)).toBe(100);
});
