import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { readPicture } from './picture';

/** Written by crates/app/tests/picture.rs. */
function golden(): ArrayBuffer {
  return Uint8Array.from(readFileSync('src/lib/platform/picture.golden')).buffer;
}

function counting(from: number, length: number): number[] {
  return Array.from({ length }, (_, index) => from + index);
}

test('a picture that Rust wrote is read', () => {
  const picture = readPicture(golden());
  expect(picture).toMatchObject({
    sequence: 0x0001_0203_0405_0607,
    capturedUnixUs: 1_767_225_600_123_456,
    width: 3,
    height: 3,
    framesCaptured: 0x1_0000_0002,
  });
  expect([...(picture?.y ?? [])]).toEqual(counting(100, 9));
  expect([...(picture?.u ?? [])]).toEqual(counting(109, 4));
  expect([...(picture?.v ?? [])]).toEqual(counting(113, 4));
});

test('bytes that are too few, too many or of no size are no picture', () => {
  const bytes = golden();
  expect(readPicture(bytes.slice(0, 31))).toBeNull();
  expect(readPicture(bytes.slice(0, -1))).toBeNull();
  const longer = new Uint8Array(bytes.byteLength + 1);
  longer.set(new Uint8Array(bytes));
  expect(readPicture(longer.buffer)).toBeNull();
  const empty = bytes.slice(0, 32);
  new DataView(empty).setUint32(16, 0, true);
  expect(readPicture(empty)).toBeNull();
});
