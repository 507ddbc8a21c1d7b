/** What stands before the planes; the layout is told by crates/app/src/api/picture.rs. */
export const PICTURE_HEADER_BYTES = 32;

/** One picture of the preview: I420 planes, rows without padding. */
export interface Picture {
  sequence: number;
  capturedUnixUs: number;
  width: number;
  height: number;
  framesCaptured: number;
  y: Uint8Array;
  u: Uint8Array;
  v: Uint8Array;
}

/** Rows and columns of a chroma plane: half, rounded up. */
export function chroma(pixels: number): number {
  return (pixels + 1) >> 1;
}

/** Reads a picture without copying its planes; `null` when the bytes are not one. */
export function readPicture(bytes: ArrayBuffer): Picture | null {
  if (bytes.byteLength < PICTURE_HEADER_BYTES) return null;
  const view = new DataView(bytes);
  const width = view.getUint32(16, true);
  const height = view.getUint32(20, true);
  const luma = width * height;
  const chromaBytes = chroma(width) * chroma(height);
  if (luma === 0 || bytes.byteLength !== PICTURE_HEADER_BYTES + luma + 2 * chromaBytes) return null;
  return {
    sequence: readU64(view, 0),
    capturedUnixUs: readU64(view, 8),
    width,
    height,
    framesCaptured: readU64(view, 24),
    y: new Uint8Array(bytes, PICTURE_HEADER_BYTES, luma),
    u: new Uint8Array(bytes, PICTURE_HEADER_BYTES + luma, chromaBytes),
    v: new Uint8Array(bytes, PICTURE_HEADER_BYTES + luma + chromaBytes, chromaBytes),
  };
}

/** Exact up to 2^53: as µs since 1970, until the year 2255. */
function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}
