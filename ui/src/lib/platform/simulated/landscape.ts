import { seeded } from './random';
import { toPicture } from './i420';

interface Ridge {
  colour: string;
  /** The height of the ridge from left to right, as a part of the picture's height. */
  heights: number[];
}

/** A mountain lake at dusk: something worth framing, in which the sun and the water move. */
export class Landscape {
  private sequence = 0;
  private readonly context: OffscreenCanvasRenderingContext2D;
  private readonly ridges: Ridge[];

  constructor(
    private readonly width: number,
    private readonly height: number,
  ) {
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!context) throw new Error('This browser draws no pictures off the screen.');
    this.context = context;
    const random = seeded(5);
    this.ridges = [
      { colour: '#8a6f8f', heights: ridge(random, 0.47, 0.13) },
      { colour: '#574f7a', heights: ridge(random, 0.54, 0.1) },
      { colour: '#2b3152', heights: ridge(random, 0.6, 0.07) },
    ];
  }

  /** The picture at a time, as it travels. */
  next(seconds: number): ArrayBuffer {
    this.paint(seconds);
    this.sequence += 1;
    const { width, height } = this;
    const pixels = this.context.getImageData(0, 0, width, height).data;
    return toPicture(pixels, width, height, {
      sequence: this.sequence,
      capturedUnixUs: Date.now() * 1000,
      framesCaptured: this.sequence,
    });
  }

  private paint(seconds: number): void {
    const { context, width, height } = this;
    const horizon = height * 0.64;
    const sky = context.createLinearGradient(0, 0, 0, horizon);
    sky.addColorStop(0, '#27406f');
    sky.addColorStop(0.55, '#d98a73');
    sky.addColorStop(1, '#f7cf9a');
    context.fillStyle = sky;
    context.fillRect(0, 0, width, height);
    const sunX = width * (0.62 + 0.06 * Math.sin(seconds / 9));
    const sunY = height * (0.36 + 0.015 * Math.sin(seconds / 5));
    const glow = context.createRadialGradient(sunX, sunY, 0, sunX, sunY, height * 0.42);
    glow.addColorStop(0, 'rgba(255, 244, 214, 1)');
    glow.addColorStop(0.12, 'rgba(255, 236, 190, 0.95)');
    glow.addColorStop(0.16, 'rgba(255, 221, 160, 0.4)');
    glow.addColorStop(1, 'rgba(255, 200, 140, 0)');
    context.fillStyle = glow;
    context.fillRect(0, 0, width, height);
    for (const one of this.ridges) this.paintRidge(one, horizon);
    this.paintWater(seconds, horizon, sunX);
  }

  private paintRidge(ridge: Ridge, horizon: number): void {
    const { context, width, height } = this;
    context.fillStyle = ridge.colour;
    context.beginPath();
    context.moveTo(0, horizon);
    ridge.heights.forEach((part, index) => {
      context.lineTo((index * width) / (ridge.heights.length - 1), part * height);
    });
    context.lineTo(width, horizon);
    context.fill();
  }

  private paintWater(seconds: number, horizon: number, sunX: number): void {
    const { context, width, height } = this;
    const water = context.createLinearGradient(0, horizon, 0, height);
    water.addColorStop(0, '#b9838b');
    water.addColorStop(0.35, '#575a86');
    water.addColorStop(1, '#141d38');
    context.fillStyle = water;
    context.fillRect(0, horizon, width, height - horizon);
    // The sun's path on the water, broken by small waves.
    for (let row = 2; row < height - horizon; row += 4) {
      const spread = 10 + row * 0.4;
      const sway = Math.sin(row * 0.9 + seconds * 2.2) * spread * 0.4;
      const length = spread * (0.6 + 0.4 * Math.sin(row * 1.7 + seconds * 3.1));
      context.fillStyle = `rgba(255, 222, 170, ${0.5 * (1 - row / (height - horizon))})`;
      context.fillRect(sunX + sway - length / 2, horizon + row, length, 1.5);
    }
  }
}

/** A line that wanders about `base`, by halving and displacing. */
function ridge(random: () => number, base: number, roughness: number): number[] {
  let heights = [base, base];
  for (let spread = roughness; heights.length < 130; spread *= 0.55) {
    heights = heights.flatMap((height, index) => {
      const next = heights[index + 1];
      return next === undefined ? [height] : [height, (height + next) / 2 - (random() - 0.42) * spread];
    });
  }
  return heights;
}
