import type { Picture } from '../platform/picture';

/** Draws pictures on one canvas, whose size it sets to the picture's. */
export interface Renderer {
  readonly kind: 'webgl2' | 'canvas2d';
  draw(picture: Picture): void;
}
