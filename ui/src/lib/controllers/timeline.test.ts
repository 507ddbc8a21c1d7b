import { expect, test } from 'vitest';

import type { Session } from '../protocol/types';
import { recorded, trackState } from '../testing/watching';
import { timeline } from './timeline';

test('a whole recording has no gaps, and is as long as its longest track', () => {
  expect(timeline(recorded())).toEqual({ durationMs: expect.closeTo(60_000), missing: [], moments: [] });
  expect(timeline(recorded({ video: null, audio: null })).durationMs).toBe(0);
});

test('gaps stand where their units would, and say whether they may heal', () => {
  const video = trackState({ durable_units: 1_700, gaps: [[300, 359], [900, 939]], lost: [[900, 939]] });
  const { missing } = timeline(recorded({ video }));
  expect(missing.map(({ fromMs, toMs, lost }) => [Math.round(fromMs), Math.round(toMs), lost])).toEqual([
    [10_000, 12_000, false],
    [30_000, 31_333, true],
  ]);
});

test('what has only just been captured is no gap', () => {
  const video = trackState({ durable_units: 1_700, gaps: [[300, 359], [1_760, 1_799]] });
  const from = (session: Session) => timeline(session).missing.map(({ fromMs }) => Math.round(fromMs / 1000));
  expect(from(recorded({ video, status: 'active' }))).toEqual([10]);
  expect(from(recorded({ video, status: 'interrupted' }))).toEqual([10, 59]);
});

test('moments of both tracks are in the order of time', () => {
  const at = (number: number, at_90k: number, kind: 'muted' | 'device_switched') => ({ number, at_90k, kind, detail: '' });
  const session = recorded({
    video: trackState({ events: [at(0, 900_000, 'device_switched')] }),
    audio: trackState({ events: [at(0, 450_000, 'muted')] }),
  });
  expect(timeline(session).moments.map(({ atMs, event }) => [atMs, event.kind])).toEqual([
    [5_000, 'muted'],
    [10_000, 'device_switched'],
  ]);
});
