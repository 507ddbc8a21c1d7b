import { chroma, PICTURE_HEADER_BYTES } from '../picture';

/** What stands in the header besides the size. */
export interface Heading {
  sequence: number;
  capturedUnixUs: number;
  framesCaptured: number;
}

/** Turns RGBA into a picture as it travels: header and I420 planes, BT.601 (for up to 576 rows), limited range. */
export function toPicture(rgba: Uint8ClampedArray, width: number, height: number, heading: Heading): ArrayBuffer {
  const luma = width * height;
  const chromaWidth = chroma(width);
  const chromaBytes = chromaWidth * chroma(height);
  const bytes = new ArrayBuffer(PICTURE_HEADER_BYTES + luma + 2 * chromaBytes);
  const view = new DataView(bytes);
  view.setBigUint64(0, BigInt(heading.sequence), true);
  view.setBigUint64(8, BigInt(Math.round(heading.capturedUnixUs)), true);
  view.setUint32(16, width, true);
  view.setUint32(20, height, true);
  view.setBigUint64(24, BigInt(heading.framesCaptured), true);
  const planes = new Uint8Array(bytes, PICTURE_HEADER_BYTES);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const at = 4 * (row * width + column);
      const red = rgba[at] as number;
      const green = rgba[at + 1] as number;
      const blue = rgba[at + 2] as number;
      planes[row * width + column] = 16.5 + 0.25679 * red + 0.50413 * green + 0.09791 * blue;
      // One pixel of four speaks for the chroma of all: enough for a made-up picture.
      if ((row | column) & 1) continue;
      const place = luma + (row >> 1) * chromaWidth + (column >> 1);
      planes[place] = 128.5 - 0.14822 * red - 0.29099 * green + 0.43922 * blue;
      planes[place + chromaBytes] = 128.5 + 0.43922 * red - 0.36779 * green - 0.07143 * blue;
    }
  }
  return bytes;
}
