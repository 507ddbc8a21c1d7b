import { expect, test } from 'vitest';

import {
  bitsPerSecond,
  bytes,
  clock,
  count,
  decibels,
  milliseconds,
  partsPerMillion,
  percent,
  perSecond,
  quantities,
  span,
} from './format';

test('numbers are said as people read them', () => {
  expect(count(1800)).toBe('1,800');
  expect([0, 812_300, 3_400_000, 1.25e9].map(bytes)).toEqual(['0 kB', '812 kB', '3.4 MB', '1.3 GB']);
  expect([64_000, 2_500_000].map(bitsPerSecond)).toEqual(['64 kbit/s', '2.5 Mbit/s']);
  expect([0, 1, 11_400, 185_000, 3_840_000].map(span)).toEqual(['0 s', '1 s', '12 s', '3 min 5 s', '1 h 4 min']);
  expect([0, 751_999, 360_000_000].map(clock)).toEqual(['00:00:00', '00:12:31', '100:00:00']);
  expect([-100, -14.4, -0.2, 0].map(decibels)).toEqual(['−∞', '−14', '0', '0']);
  expect(perSecond(29.97)).toBe('30.0');
  expect(percent(0.184)).toBe('18 %');
  expect([12_340, -4_000, -30].map(partsPerMillion)).toEqual(['+12.3 ppm', '−4.0 ppm', '0.0 ppm']);
  expect(milliseconds(1_160)).toBe('1.2 ms');
});

test('numbers are found with their units', () => {
  expect(quantities('Catching up, 3 min 12 s left (3.4 MB)')).toEqual([
    'Catching up, ',
    '3 min',
    ' ',
    '12 s',
    ' left (',
    '3.4 MB',
    ')',
  ]);
  expect(quantities('Complete, 1,800 of 1,800')).toEqual(['Complete, 1,800 of 1,800']);
});
