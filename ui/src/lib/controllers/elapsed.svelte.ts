import type { Session } from '../platform/types';
import { clock } from '../words/format';

/** The running time of a session: told by the platform now and then, run on by a steady clock in between. */
export class ElapsedClock {
  text = $state(clock(0));

  private toldMs = 0;
  private toldAt = 0;
  private running = false;

  /** Takes what the platform tells at `now`, in ms of a steady clock. */
  take(session: Session | null, now: number): void {
    this.toldMs = session?.elapsed_ms ?? 0;
    this.toldAt = now;
    this.running = session?.phase.kind === 'running';
    this.tick(now);
  }

  /** To be called a few times a second. */
  tick(now: number): void {
    const text = clock(this.running ? this.toldMs + now - this.toldAt : this.toldMs);
    if (text !== this.text) this.text = text;
  }
}
