import type { Reading } from '../server/source';

/** What a viewer's connection was like over the last seconds. */
export interface Quality {
  grade: 'good' | 'fair' | 'poor';
  /** 0 to 1; null where nobody counts packets. */
  lost: number | null;
  jitterMs: number | null;
  framesPerS: number;
  bitsPerS: number;
}

/** What eyes and ears begin to notice, and what spoils it. */
const FAIR = { lost: 0.01, jitterMs: 30 };
const POOR = { lost: 0.05, jitterMs: 100 };

/** The connection between two readings, the earlier one first. */
export function quality(before: Reading, after: Reading): Quality {
  const seconds = Math.max(0.001, (after.at - before.at) / 1000);
  const lost = share(delta(before.packetsLost, after.packetsLost), delta(before.packetsReceived, after.packetsReceived));
  const jitterMs = after.jitterMs;
  const over = (limit: typeof FAIR) => (lost ?? 0) > limit.lost || (jitterMs ?? 0) > limit.jitterMs;
  return {
    grade: over(POOR) ? 'poor' : over(FAIR) ? 'fair' : 'good',
    lost,
    jitterMs,
    framesPerS: Math.max(0, (after.frames - before.frames) / seconds),
    bitsPerS: Math.max(0, ((after.bytes - before.bytes) * 8) / seconds),
  };
}

function delta(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before;
}

function share(lost: number | null, received: number | null): number | null {
  if (lost === null || received === null) return null;
  // A late packet takes its loss back, and so a count may fall.
  const missing = Math.max(0, lost);
  return missing + received > 0 ? missing / (missing + received) : 0;
}
