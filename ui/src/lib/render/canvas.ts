import { Canvas2dRenderer } from './canvas2d';
import type { Renderer } from './renderer';
import { WebglRenderer } from './webgl';

/** What a canvas reports about its graphics context. */
export interface ContextEvents {
  lost: () => void;
  restored: () => void;
}

/**
 * The best renderer for a fresh canvas. A canvas that has once given out a WebGL context never gives another kind:
 * after `lost`, go on with a fresh canvas and `withWebgl` false; after `restored`, with a fresh one and true.
 */
export function openRenderer(canvas: HTMLCanvasElement, withWebgl: boolean, events: ContextEvents): Renderer | null {
  const webgl = withWebgl ? WebglRenderer.open(canvas) : null;
  if (!webgl) return Canvas2dRenderer.open(canvas);
  canvas.addEventListener('webglcontextlost', (event) => {
    // Without this the browser never restores it.
    event.preventDefault();
    events.lost();
  });
  canvas.addEventListener('webglcontextrestored', events.restored);
  return webgl;
}
