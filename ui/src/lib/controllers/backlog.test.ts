import { expect, test } from 'vitest';

import { session, track } from '../testing/fakes';
import { BacklogHistory, HISTORY_MS } from './backlog.svelte';

function at(elapsed_ms: number, backlog_bytes: number, id = 'a') {
  return session({ id, elapsed_ms, video: track({ kind: 'offline', reason: '' }, { backlog_bytes }), audio: null });
}

test('a point stands for half a second and keeps the largest backlog in it', () => {
  const history = new BacklogHistory();
  history.take(at(0, 10), 0);
  history.take(at(200, 30), 200);
  history.take(at(400, 20), 400);
  history.take(at(500, 5), 500);
  expect(history.video).toEqual([
    { atMs: 0, bytes: 30 },
    { atMs: 500, bytes: 5 },
  ]);
  expect(history.audio).toEqual([]);
});

test('what is older than a minute is forgotten', () => {
  const history = new BacklogHistory();
  for (let ms = 0; ms <= 2 * HISTORY_MS; ms += 500) history.take(at(ms, ms), ms);
  expect(history.video[0]?.atMs).toBe(HISTORY_MS);
  expect(history.video).toHaveLength(HISTORY_MS / 500 + 1);
});

test('after the stop time goes on while the rest is sent', () => {
  const history = new BacklogHistory();
  history.take(at(10_000, 900), 0);
  history.take({ ...at(10_000, 900), phase: { kind: 'finishing' } }, 100);
  history.take({ ...at(10_000, 400), phase: { kind: 'finishing' } }, 1100);
  expect(history.video.map((point) => point.atMs)).toEqual([10_000, 11_000]);
});

test('another session begins with nothing', () => {
  const history = new BacklogHistory();
  history.take(at(1000, 7), 0);
  history.take(at(0, 1, 'b'), 100);
  expect(history.video).toEqual([{ atMs: 0, bytes: 1 }]);
  history.take(null, 200);
  expect(history.video).toEqual([]);
});
