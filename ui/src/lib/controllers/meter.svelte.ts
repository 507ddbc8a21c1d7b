import type { Level } from '../platform/types';

export const SILENCE_DBFS = -100;
/** How long the highest peak stays where it is. */
const HOLD_MS = 1500;
/** How fast the bars fall when it gets quieter: slow enough to be read, as programme meters do (IEC 60268-10, type I). */
const FALL_DB_PER_S = 20 / 1.7;
/** The numbers change no more often than one can read them. */
const NUMBERS_EVERY_MS = 150;
/** Levels come every 33 ms; without them for so long there is no sound to show. */
const ABSENT_MS = 300;

/** The level meter: the bars rise at once and fall slowly, the highest peak is held, a clip stays until it is cleared. */
export class Meter {
  /** In dBFS. */
  peak = $state(SILENCE_DBFS);
  rms = $state(SILENCE_DBFS);
  held = $state(SILENCE_DBFS);
  clipped = $state(false);
  /** The held peak and the RMS, as numbers to read. */
  numbers = $state.raw({ peak: SILENCE_DBFS, rms: SILENCE_DBFS });

  private heldSince = 0;
  private at: number | null = null;
  private numbersAt = -Infinity;

  /** Takes a level at `now`, in ms of a steady clock. */
  push(level: Level, now: number): void {
    const elapsed = this.at === null ? 0 : now - this.at;
    this.at = now;
    const fall = (elapsed / 1000) * FALL_DB_PER_S;
    this.peak = Math.max(level.peak_dbfs, this.peak - fall, SILENCE_DBFS);
    this.rms = Math.max(level.rms_dbfs, this.rms - fall, SILENCE_DBFS);
    if (level.peak_dbfs >= this.held || now - this.heldSince > HOLD_MS) {
      // After the hold it falls with the bar, until a higher peak holds it anew.
      if (level.peak_dbfs >= this.held) this.heldSince = now;
      this.held = Math.max(level.peak_dbfs, this.peak);
    }
    if (level.clipped) this.clipped = true;
    if (now - this.numbersAt >= NUMBERS_EVERY_MS) {
      this.numbersAt = now;
      this.numbers = { peak: this.held, rms: this.rms };
    }
  }

  /** To be called now and then: lets the bars fall when no level comes any more. */
  tick(now: number): void {
    if (this.at === null || now - this.at < ABSENT_MS) return;
    this.push({ peak_dbfs: SILENCE_DBFS, rms_dbfs: SILENCE_DBFS, clipped: false }, now);
  }

  /** A person has seen it. */
  clearClip(): void {
    this.clipped = false;
  }
}
