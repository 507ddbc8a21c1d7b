import { expect, test } from 'vitest';

import { Meter, SILENCE_DBFS } from './meter.svelte';

function level(peak: number, clipped = false) {
  return { peak_dbfs: peak, rms_dbfs: peak - 9, clipped };
}

test('bars rise at once and fall slowly', () => {
  const meter = new Meter();
  meter.push(level(-10), 0);
  expect([meter.peak, meter.rms]).toEqual([-10, -19]);
  meter.push(level(-50), 850);
  expect(meter.peak).toBeCloseTo(-20);
  expect(meter.rms).toBeCloseTo(-29);
  meter.push(level(-15), 900);
  expect(meter.peak).toBe(-15);
});

test('the highest peak is held for a second and a half and then falls with the bar', () => {
  const meter = new Meter();
  meter.push(level(-6), 0);
  for (let now = 100; now <= 1500; now += 100) meter.push(level(-40), now);
  expect(meter.held).toBe(-6);
  meter.push(level(-40), 1600);
  expect(meter.held).toBe(meter.peak);
  expect(meter.held).toBeLessThan(-20);
});

test('a higher peak is held anew', () => {
  const meter = new Meter();
  meter.push(level(-20), 0);
  meter.push(level(-12), 1000);
  for (let now = 1100; now <= 2500; now += 100) meter.push(level(-60), now);
  expect(meter.held).toBe(-12);
});

test('a clip stays until somebody clears it', () => {
  const meter = new Meter();
  meter.push(level(0, true), 0);
  meter.push(level(-30), 5000);
  expect(meter.clipped).toBe(true);
  meter.clearClip();
  expect(meter.clipped).toBe(false);
});

test('without levels the bars fall to silence', () => {
  const meter = new Meter();
  meter.tick(1000);
  expect(meter.peak).toBe(SILENCE_DBFS);
  meter.push(level(-10), 1000);
  meter.tick(1200);
  expect(meter.peak).toBe(-10);
  for (let now = 1400; now < 12_000; now += 400) meter.tick(now);
  expect(meter.peak).toBe(SILENCE_DBFS);
  expect(meter.numbers.peak).toBe(SILENCE_DBFS);
});

test('the numbers change slowly enough to be read', () => {
  const meter = new Meter();
  meter.push(level(-20), 0);
  meter.push(level(-10), 33);
  expect(meter.numbers.peak).toBe(-20);
  meter.push(level(-10), 166);
  expect(meter.numbers.peak).toBe(-10);
});
