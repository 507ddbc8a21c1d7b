import { expect, test } from 'vitest';

import { session } from '../testing/fakes';
import { ElapsedClock } from './elapsed.svelte';

test('the clock runs on between what it is told', () => {
  const clock = new ElapsedClock();
  clock.take(session({ elapsed_ms: 750_900 }), 1000);
  expect(clock.text).toBe('00:12:30');
  clock.tick(1200);
  expect(clock.text).toBe('00:12:31');
});

test('it stands still once the session is stopped', () => {
  const clock = new ElapsedClock();
  clock.take(session({ elapsed_ms: 60_000, phase: { kind: 'finishing' } }), 1000);
  clock.tick(9000);
  expect(clock.text).toBe('00:01:00');
});

test('without a session it shows nothing elapsed', () => {
  const clock = new ElapsedClock();
  clock.take(session({ elapsed_ms: 60_000 }), 0);
  clock.take(null, 100);
  expect(clock.text).toBe('00:00:00');
});
