import { chroma, type Picture } from '../platform/picture';
import { matrixFor } from './colour';
import type { Renderer } from './renderer';

/** Draws with the processor: where there is no WebGL2, or where its context was lost. */
export class Canvas2dRenderer implements Renderer {
  readonly kind = 'canvas2d';
  private image: ImageData | null = null;

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly context: CanvasRenderingContext2D,
  ) {}

  static open(canvas: HTMLCanvasElement): Canvas2dRenderer | null {
    const context = canvas.getContext('2d', { alpha: false });
    return context && new Canvas2dRenderer(canvas, context);
  }

  draw(picture: Picture): void {
    const { width, height } = picture;
    if (this.image?.width !== width || this.image.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.image = this.context.createImageData(width, height);
    }
    toRgba(picture, this.image.data);
    this.context.putImageData(this.image, 0, 0);
  }
}

/** Writes the picture as RGBA, four bytes a pixel, into `rgba`, which has room for it and clamps what is stored. */
export function toRgba(picture: Picture, rgba: Uint8ClampedArray): void {
  const { width, height, y, u, v } = picture;
  const { luma, redFromV, greenFromU, greenFromV, blueFromU } = matrixFor(height);
  const chromaWidth = chroma(width);
  let at = 0;
  for (let row = 0; row < height; row += 1) {
    const lumaRow = row * width;
    const chromaRow = (row >> 1) * chromaWidth;
    for (let column = 0; column < width; column += 1) {
      const light = ((y[lumaRow + column] as number) - 16) * luma;
      const blueness = (u[chromaRow + (column >> 1)] as number) - 128;
      const redness = (v[chromaRow + (column >> 1)] as number) - 128;
      rgba[at] = light + redFromV * redness;
      rgba[at + 1] = light + greenFromU * blueness + greenFromV * redness;
      rgba[at + 2] = light + blueFromU * blueness;
      rgba[at + 3] = 255;
      at += 4;
    }
  }
}
