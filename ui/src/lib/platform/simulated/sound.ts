import type { Level } from '../types';

/** Somebody speaks: words of a fifth of a second, and a pause for breath every few seconds. */
export function loudness(seconds: number, on: boolean): Level {
  if (!on) return { peak_dbfs: -100, rms_dbfs: -100, clipped: false };
  const breath = Math.sin(seconds * 1.3) > -0.75 ? 0 : -22;
  const syllable = 7 * Math.abs(Math.sin(seconds * 9.1)) + 3 * Math.sin(seconds * 23.7);
  const peak = Math.min(-3, -19 + syllable + breath);
  return { peak_dbfs: peak, rms_dbfs: peak - 9 - 2 * Math.sin(seconds * 5), clipped: false };
}
