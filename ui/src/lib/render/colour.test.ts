import { expect, test } from 'vitest';

import { readPicture } from '../platform/picture';
import { toPicture } from '../platform/simulated/i420';
import { toRgba } from './canvas2d';
import { BT601, BT709, matrixFor } from './colour';

test('the coefficients are those of the standards', () => {
  // As printed in ITU-R BT.601 and BT.709 implementations everywhere: 1.596, 0.392, 0.813, 2.017; 1.793, 0.213, 0.533, 2.112.
  expect([BT601.redFromV, -BT601.greenFromU, -BT601.greenFromV, BT601.blueFromU].map((one) => one.toFixed(3))).toEqual(
    ['1.596', '0.392', '0.813', '2.017'],
  );
  expect([BT709.redFromV, -BT709.greenFromU, -BT709.greenFromV, BT709.blueFromU].map((one) => one.toFixed(3))).toEqual(
    ['1.793', '0.213', '0.533', '2.112'],
  );
});

test('pictures up to 576 rows are BT.601, taller ones BT.709', () => {
  expect(matrixFor(576)).toBe(BT601);
  expect(matrixFor(577)).toBe(BT709);
});

test.each([
  ['black', 0, 0, 0],
  ['white', 255, 255, 255],
  ['red', 255, 0, 0],
  ['green', 0, 255, 0],
  ['blue', 0, 0, 255],
  ['skin', 224, 172, 140],
])('%s survives the way through I420', (_name, ...colour) => {
  // An odd size, so that chroma planes are rounded up.
  const rgba = new Uint8ClampedArray(3 * 3 * 4);
  for (let at = 0; at < rgba.length; at += 4) rgba.set([...colour, 255], at);
  const picture = readPicture(toPicture(rgba, 3, 3, { sequence: 1, capturedUnixUs: 2, framesCaptured: 3 }));
  if (!picture) throw new Error('it is a picture');
  const drawn = new Uint8ClampedArray(rgba.length);
  toRgba(picture, drawn);
  for (let at = 0; at < rgba.length; at += 1) expect(Math.abs((drawn[at] ?? 0) - (rgba[at] ?? 0))).toBeLessThan(4);
});
