/** How long to hold. The ring around the button fills in this time. */
export const HOLD_MS = 600;
/** How long the question waits for the second tap. */
export const QUESTION_MS = 4000;

export type StopPhase = 'idle' | 'holding' | 'asking';

/**
 * Stopping on purpose: by holding the button, or by a tap that asks and a second one that answers. A single tap never
 * stops.
 */
export class StopGesture {
  phase = $state<StopPhase>('idle');

  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = false;
  private finished = false;

  constructor(private readonly stop: () => void) {}

  /** A finger, the mouse button or the space bar goes down. */
  press(): void {
    this.asked = this.phase === 'asking';
    this.finished = false;
    this.become('holding', HOLD_MS, () => this.finish());
  }

  /** It comes up again. A short press of a finger is a tap; a short press of the space bar only asks. */
  release(means: 'tap' | 'ask'): void {
    if (this.finished || this.phase !== 'holding') return;
    if (means === 'tap' && this.asked) this.finish();
    else this.ask();
  }

  /** A whole tap at once: the Enter key, or a screen reader's. */
  tap(): void {
    if (this.phase === 'asking') this.finish();
    else this.ask();
  }

  /** The finger slid away, or there is nothing to stop any more. */
  cancel(): void {
    this.become('idle');
  }

  private ask(): void {
    this.become('asking', QUESTION_MS, () => this.become('idle'));
  }

  private finish(): void {
    this.finished = true;
    this.become('idle');
    this.stop();
  }

  private become(phase: StopPhase, forMs?: number, then?: () => void): void {
    clearTimeout(this.timer);
    this.phase = phase;
    if (then) this.timer = setTimeout(then, forMs);
  }
}
