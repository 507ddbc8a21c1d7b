import type { Reading, Source, SourceListener } from '../../server/source';

const WIDTH = 640;
const HEIGHT = 360;
const BITS_PER_S = 2_100_000;
const DELAY_MS = 1_380;

/** The picture of another camera in the room: a jetty at dusk, which the page draws itself. */
export class SimulatedSource implements Source {
  readonly transport = 'hls';
  private readonly stream: MediaStream;
  private readonly beganMs = performance.now();

  constructor(
    private readonly video: HTMLVideoElement,
    listener: SourceListener,
  ) {
    const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
    draw(canvas);
    this.stream = canvas.captureStream(1);
    video.srcObject = this.stream;
    video.addEventListener('loadeddata', () => listener.connected(), { once: true });
  }

  async read(): Promise<Reading> {
    const ms = performance.now() - this.beganMs;
    return {
      at: performance.now(),
      bytes: (ms * BITS_PER_S) / 8_000,
      frames: Math.floor(ms * 0.03),
      packetsLost: null,
      packetsReceived: null,
      jitterMs: null,
      delayMs: DELAY_MS,
      audioLevel: null,
    };
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }
}

function draw(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const sky = context.createLinearGradient(0, 0, 0, HEIGHT);
  sky.addColorStop(0, '#1d3358');
  sky.addColorStop(0.6, '#c9825f');
  sky.addColorStop(0.61, '#5c4a63');
  sky.addColorStop(1, '#141d33');
  context.fillStyle = sky;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.fillStyle = '#1a1420';
  context.fillRect(250, 240, WIDTH - 250, 14);
  for (let x = 270; x < WIDTH; x += 74) context.fillRect(x, 240, 9, 70);
}
