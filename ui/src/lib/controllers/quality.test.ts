import { expect, test } from 'vitest';

import { reading } from '../testing/watching';
import { quality } from './quality';

test('it counts what came between two readings', () => {
  const now = quality(reading({ at: 0 }), reading({ at: 2_000, bytes: 500_000, frames: 60, packetsReceived: 100 }));
  expect(now).toEqual({ grade: 'good', lost: 0, jitterMs: null, framesPerS: 30, bitsPerS: 2_000_000 });
});

test('loss and jitter lower the grade', () => {
  const from = reading({ at: 0 });
  const grade = (lost: number, jitterMs: number) =>
    quality(from, reading({ at: 1_000, packetsLost: lost, packetsReceived: 100 - lost, jitterMs })).grade;
  expect([grade(0, 5), grade(2, 5), grade(0, 40), grade(10, 5), grade(0, 200)]).toEqual([
    'good', 'fair', 'fair', 'poor', 'poor',
  ]);
});

test('a packet that comes late after all is no negative loss, and HLS has none', () => {
  const late = quality(reading({ packetsLost: 3 }), reading({ at: 1_000, packetsLost: 2, packetsReceived: 10 }));
  expect(late.lost).toBe(0);
  expect(quality(reading({ packetsLost: null }), reading({ at: 1, packetsLost: null })).lost).toBeNull();
});
