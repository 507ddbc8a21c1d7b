import { beforeEach, expect, test } from 'vitest';

import type { Picture } from '../platform/picture';
import type { Problem } from '../platform/types';
import { toPicture } from '../platform/simulated/i420';
import { fakePlatform } from '../testing/fakes';
import { Preview } from './preview.svelte';

const fake = { ...fakePlatform() };
let now: number;
let frames: (() => void)[];
let drawn: Picture[];
let problems: Problem[];
let preview: Preview;

beforeEach(async () => {
  Object.assign(fake, fakePlatform());
  now = 0;
  frames = [];
  drawn = [];
  problems = [];
  preview = new Preview(fake.platform, (problem) => problems.push(problem), {
    now: () => now,
    unixUs: () => 1_000_000 + now * 1000,
    nextFrame: (callback) => frames.push(callback),
  });
  await preview.open();
  preview.drawWith({ kind: 'canvas2d', draw: (picture) => drawn.push(picture) });
});

function paint() {
  for (const frame of frames.splice(0)) frame();
}

function picture(sequence: number, capturedUnixUs = 1_000_000) {
  return toPicture(new Uint8ClampedArray(4 * 2 * 2), 2, 2, { sequence, capturedUnixUs, framesCaptured: sequence });
}

test('a picture is drawn and credited when the page is painted, not before', () => {
  fake.picture(picture(1));
  expect(fake.platform.previewShown).not.toHaveBeenCalled();
  expect(preview.hasPicture).toBe(false);
  paint();
  expect(drawn.map((one) => one.sequence)).toEqual([1]);
  expect(fake.platform.previewShown).toHaveBeenCalledExactlyOnceWith(1);
  expect(preview.hasPicture).toBe(true);
});

test('only the newest is drawn, and each is credited', () => {
  fake.picture(picture(1));
  fake.picture(picture(2));
  paint();
  expect(drawn.map((one) => one.sequence)).toEqual([2]);
  expect(fake.platform.previewShown.mock.calls).toEqual([[1], [2]]);
  paint();
  expect(drawn).toHaveLength(1);
});

test('rate and delay are measured from what is drawn', () => {
  for (let sequence = 1; sequence <= 31; sequence += 1) {
    now = sequence * 100;
    // Captured 40 ms before it is drawn; the last one 70 ms.
    fake.picture(picture(sequence, 1_000_000 + (now - (sequence === 31 ? 70 : 40)) * 1000));
    paint();
  }
  expect(preview.figures.drawn).toBeGreaterThan(20);
  expect(preview.figures.fps).toBeCloseTo(10);
  expect(preview.figures.latencyP50Ms).toBeCloseTo(40);
  now += 20_000;
  preview.tick();
  expect(preview.figures.fps).toBe(0);
  expect(preview.figures.latencyP50Ms).toBeNull();
});

test('without a canvas pictures are credited, so that they keep coming', () => {
  preview.drawWith(null);
  fake.picture(picture(1));
  paint();
  expect(drawn).toEqual([]);
  expect(fake.platform.previewShown).toHaveBeenCalledExactlyOnceWith(1);
});

test('bytes that are no picture are told', () => {
  fake.picture(new ArrayBuffer(7));
  paint();
  expect(problems).toHaveLength(1);
  expect(drawn).toEqual([]);
});

test('a preview that cannot be opened is told', async () => {
  fake.platform.preview.mockRejectedValueOnce(new Error('gone'));
  await preview.open();
  expect(problems[0]).toMatchObject({ code: 'internal', message: expect.stringContaining('gone') });
});

test('a camera that is off leaves no picture that could pass for the present', () => {
  fake.picture(picture(1));
  paint();
  preview.follow(false);
  expect(preview.hasPicture).toBe(false);
});

test('a picture that comes after the camera went off is credited and not drawn', () => {
  fake.picture(picture(1));
  preview.follow(false);
  paint();
  fake.picture(picture(2));
  paint();
  expect(drawn).toEqual([]);
  expect(preview.hasPicture).toBe(false);
  expect(fake.platform.previewShown.mock.calls).toEqual([[1], [2]]);

  preview.follow(true);
  fake.picture(picture(3));
  paint();
  expect(drawn.map((one) => one.sequence)).toEqual([3]);
  expect(preview.hasPicture).toBe(true);
});
