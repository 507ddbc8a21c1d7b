/** How Y, U and V become red, green and blue, for limited range: Y 16 to 235, U and V 16 to 240. */
export interface ColourMatrix {
  /** All three from Y − 16. */
  luma: number;
  redFromV: number;
  greenFromU: number;
  greenFromV: number;
  blueFromU: number;
}

/** The coefficients follow from the weights of red and blue in luma (ITU-R BT.601 and BT.709, section on limited range). */
function fromWeights(red: number, blue: number): ColourMatrix {
  const green = 1 - red - blue;
  const chromaRange = 255 / 224;
  return {
    luma: 255 / 219,
    redFromV: 2 * (1 - red) * chromaRange,
    greenFromU: (-2 * (1 - blue) * blue * chromaRange) / green,
    greenFromV: (-2 * (1 - red) * red * chromaRange) / green,
    blueFromU: 2 * (1 - blue) * chromaRange,
  };
}

export const BT601 = fromWeights(0.299, 0.114);
export const BT709 = fromWeights(0.2126, 0.0722);

/** BT.601 up to 576 rows, BT.709 above. */
export function matrixFor(height: number): ColourMatrix {
  return height <= 576 ? BT601 : BT709;
}
