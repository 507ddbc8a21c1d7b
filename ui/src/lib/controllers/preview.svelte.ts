import { readPicture, type Picture } from '../platform/picture';
import type { Platform, Unsubscribe } from '../platform/platform';
import { toProblem } from '../platform/problem';
import type { Problem } from '../platform/types';
import type { Renderer } from '../render/renderer';
import { Recent } from './recent';

/** What is measured goes back so far. */
const WINDOW_MS = 10_000;
/** The measured figures are shown so often. */
const FIGURES_EVERY_MS = 500;

/** What the preview measures about itself. */
export interface PreviewFigures {
  /** Pictures drawn since the screen was opened. */
  drawn: number;
  fps: number;
  /** From the capture of a picture to its being drawn, in ms, over the last ten seconds; `null` before the first one. */
  latencyP50Ms: number | null;
  latencyP95Ms: number | null;
}

/** What the preview needs of the page, so that a test can stand in for it. */
export interface PreviewClock {
  /** A steady clock, in ms. */
  now(): number;
  /** The time of day, in µs since the Unix epoch. */
  unixUs(): number;
  /** Calls back when the page is painted next; not while it is hidden. */
  nextFrame(callback: () => void): void;
}

const PAGE: PreviewClock = {
  now: () => performance.now(),
  unixUs: () => Date.now() * 1000,
  nextFrame: (callback) => requestAnimationFrame(callback),
};

/**
 * Draws the newest picture whenever the page is painted. Each picture is credited when it, or a newer one in its place, is
 * drawn: a hidden page gives no credit, and so the platform stops sending.
 */
export class Preview {
  figures = $state.raw<PreviewFigures>({ drawn: 0, fps: 0, latencyP50Ms: null, latencyP95Ms: null });
  /** Whether a picture was drawn since the camera was last opened. */
  hasPicture = $state(false);

  private renderer: Renderer | null = null;
  private cameraDelivers = true;
  private newest: Picture | null = null;
  private superseded: number[] = [];
  private scheduled = false;
  private drawn = 0;
  private readonly latencies = new Recent(WINDOW_MS);
  private figuresAt = -Infinity;
  private unsubscribe: Unsubscribe | null = null;

  constructor(
    private readonly platform: Pick<Platform, 'preview' | 'previewShown'>,
    private readonly failed: (problem: Problem) => void,
    private readonly clock: PreviewClock = PAGE,
  ) {}

  /** Subscribes to the pictures. */
  async open(): Promise<void> {
    try {
      this.unsubscribe = await this.platform.preview((bytes) => this.take(bytes));
    } catch (error) {
      this.failed(toProblem(error));
    }
  }

  shut(): void {
    this.unsubscribe?.();
    this.unsubscribe = null;
  }

  /** Draws with this from now on: after a canvas was made, or was replaced. */
  drawWith(renderer: Renderer | null): void {
    this.renderer = renderer;
  }

  /**
   * Whether the camera delivers. While it is off or gone its last picture must not pass for the present, and one that
   * was under way when it went is credited without being drawn.
   */
  follow(cameraDelivers: boolean): void {
    this.cameraDelivers = cameraDelivers;
    if (!cameraDelivers) this.hasPicture = false;
  }

  /** To be called now and then: the figures fall when no picture comes. */
  tick(): void {
    this.measure(this.clock.now());
  }

  private take(bytes: ArrayBuffer): void {
    const picture = readPicture(bytes);
    if (!picture) {
      this.failed({ code: 'internal', message: 'A picture of the preview could not be read.', retryable: false });
      return;
    }
    if (this.newest) this.superseded.push(this.newest.sequence);
    this.newest = picture;
    if (this.scheduled) return;
    this.scheduled = true;
    this.clock.nextFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  private draw(): void {
    const picture = this.newest;
    if (!picture) return;
    this.newest = null;
    if (this.renderer && this.cameraDelivers) {
      this.renderer.draw(picture);
      this.drawn += 1;
      this.hasPicture = true;
      const now = this.clock.now();
      this.latencies.push(now, (this.clock.unixUs() - picture.capturedUnixUs) / 1000);
      this.measure(now);
    }
    const shown = [...this.superseded, picture.sequence];
    this.superseded = [];
    for (const sequence of shown) {
      this.platform.previewShown(sequence).catch((error: unknown) => this.failed(toProblem(error)));
    }
  }

  private measure(now: number): void {
    if (now - this.figuresAt < FIGURES_EVERY_MS) return;
    this.figuresAt = now;
    this.figures = {
      drawn: this.drawn,
      fps: this.latencies.perSecond(now),
      latencyP50Ms: this.latencies.percentile(0.5, now),
      latencyP95Ms: this.latencies.percentile(0.95, now),
    };
  }
}
