import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { HOLD_MS, QUESTION_MS, StopGesture } from './stop_gesture.svelte';

let stop: ReturnType<typeof vi.fn<() => void>>;
let gesture: StopGesture;

beforeEach(() => {
  vi.useFakeTimers();
  stop = vi.fn<() => void>();
  gesture = new StopGesture(stop);
});
afterEach(() => vi.useRealTimers());

test('holding long enough stops, once', () => {
  gesture.press();
  vi.advanceTimersByTime(HOLD_MS - 1);
  expect(stop).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(stop).toHaveBeenCalledOnce();
  gesture.release('tap');
  expect(stop).toHaveBeenCalledOnce();
  expect(gesture.phase).toBe('idle');
});

test('a single tap only asks, and the question goes away', () => {
  gesture.press();
  gesture.release('tap');
  expect(gesture.phase).toBe('asking');
  vi.advanceTimersByTime(QUESTION_MS);
  expect(gesture.phase).toBe('idle');
  expect(stop).not.toHaveBeenCalled();
});

test('a second tap answers', () => {
  gesture.press();
  gesture.release('tap');
  gesture.press();
  gesture.release('tap');
  expect(stop).toHaveBeenCalledOnce();
});

test('a tap of a screen reader asks and answers too', () => {
  gesture.tap();
  expect(stop).not.toHaveBeenCalled();
  gesture.tap();
  expect(stop).toHaveBeenCalledOnce();
});

test('short presses of the space bar never stop', () => {
  for (let presses = 0; presses < 3; presses += 1) {
    gesture.press();
    gesture.release('ask');
  }
  expect(gesture.phase).toBe('asking');
  expect(stop).not.toHaveBeenCalled();
});

test('a finger that slides away has not tapped', () => {
  gesture.press();
  gesture.cancel();
  vi.advanceTimersByTime(HOLD_MS);
  expect(gesture.phase).toBe('idle');
  expect(stop).not.toHaveBeenCalled();
});
