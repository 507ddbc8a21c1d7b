import { expect, test } from 'vitest';

import { ServerError } from '../server/server';
import { Backoff } from './backoff';
import { TransportChoice } from './transport_choice';

test('waits double, up to a limit, and begin anew once it works', () => {
  const backoff = new Backoff(500, 3_000, () => 1);
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([500, 1_000, 2_000, 3_000]);
  backoff.reset();
  expect(backoff.next()).toBe(500);
});

test('without WebRTC it is HLS and stays so', () => {
  const choice = new TransportChoice(false);
  expect(choice.first()).toEqual({ transport: 'hls', afterMs: 0 });
  for (let failures = 0; failures < 4; failures += 1) expect(choice.failed({ kind: 'lost' }).transport).toBe('hls');
});

test('where no packet comes through, HLS follows at once', () => {
  const choice = new TransportChoice(true);
  expect(choice.first().transport).toBe('webrtc');
  expect(choice.failed({ kind: 'unreachable' })).toEqual({ transport: 'hls', afterMs: 0 });
});

test('an offer that the server cannot answer, such as one without H.264, is not made again', () => {
  const choice = new TransportChoice(true);
  const refused = (code: 'bad_request' | 'forbidden') =>
    choice.failed({ kind: 'refused', error: new ServerError(400, { code, message: '', retryable: false }) });
  expect(refused('forbidden').transport).toBe('webrtc');
  expect(refused('bad_request')).toEqual({ transport: 'hls', afterMs: 0 });
  for (let failures = 0; failures < 4; failures += 1) expect(choice.failed({ kind: 'lost' }).transport).toBe('hls');
});

test('what has worked is tried again, with growing waits, before the other', () => {
  const choice = new TransportChoice(true);
  choice.played();
  const attempts = [1, 2, 3, 4].map(() => choice.failed({ kind: 'unreachable' }));
  expect(attempts.map(({ transport }) => transport)).toEqual(['webrtc', 'webrtc', 'webrtc', 'hls']);
  expect(attempts[1]!.afterMs).toBeGreaterThan(attempts[0]!.afterMs);
});

test('while HLS fails as well, both are tried in turns', () => {
  const choice = new TransportChoice(true);
  choice.failed({ kind: 'unreachable' });
  const tried = [1, 2, 3, 4, 5].map(() => choice.failed({ kind: 'lost' }).transport);
  expect(tried).toContain('webrtc');
  expect(tried).toContain('hls');
});
