import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { HOLD_MS } from '../controllers/stop_gesture.svelte';
import StartStop from './StartStop.svelte';

const onstart = vi.fn<() => void>();
const onstop = vi.fn<() => void>();

beforeEach(() => {
  vi.useFakeTimers();
  onstart.mockClear();
  onstop.mockClear();
});
afterEach(() => vi.useRealTimers());

function show(changes: { recording?: boolean; waiting?: string | null } = {}) {
  const props = { recording: false, live: false, waiting: null, onstart, onstop, ...changes };
  const { rerender } = render(StartStop, { props });
  return { button: screen.getByTestId('start-stop'), rerender };
}

/** What a finger does. */
async function tap(button: HTMLElement) {
  await fireEvent.pointerDown(button, { button: 0 });
  await fireEvent.pointerUp(button, { button: 0 });
  await fireEvent.click(button, { detail: 1 });
}

test('a tap starts', async () => {
  const { button } = show();
  expect(button.getAttribute('aria-label')).toBe('Start recording');
  await tap(button);
  expect(onstart).toHaveBeenCalledOnce();
});

test('a tap while recording asks, and a second one stops', async () => {
  const { button } = show({ recording: true });
  await tap(button);
  expect(onstop).not.toHaveBeenCalled();
  expect(button.textContent).toContain('Stop?');
  await tap(button);
  expect(onstop).toHaveBeenCalledOnce();
});

test('holding stops, and letting go then does not start again', async () => {
  const { button, rerender } = show({ recording: true });
  await fireEvent.pointerDown(button, { button: 0 });
  vi.advanceTimersByTime(HOLD_MS);
  expect(onstop).toHaveBeenCalledOnce();
  await rerender({ recording: false });
  await fireEvent.pointerUp(button, { button: 0 });
  await fireEvent.click(button, { detail: 1 });
  expect(onstart).not.toHaveBeenCalled();
});

test('the space bar starts from anywhere, once', async () => {
  show();
  await fireEvent.keyDown(document.body, { key: ' ' });
  await fireEvent.keyDown(document.body, { key: ' ', repeat: true });
  expect(onstart).toHaveBeenCalledOnce();
});

test('the space bar is left to fields and other buttons', async () => {
  show();
  const field = document.body.appendChild(document.createElement('input'));
  await fireEvent.keyDown(field, { key: ' ' });
  expect(onstart).not.toHaveBeenCalled();
  field.remove();
});

test('the space bar that started does not stop, however long it is held', async () => {
  const { rerender } = show();
  await fireEvent.keyDown(document.body, { key: ' ' });
  await rerender({ recording: true });
  await fireEvent.keyDown(document.body, { key: ' ', repeat: true });
  vi.advanceTimersByTime(10 * HOLD_MS);
  expect(onstop).not.toHaveBeenCalled();
});

test('the space bar stops when it is held, not when it is tapped', async () => {
  show({ recording: true });
  for (let taps = 0; taps < 3; taps += 1) {
    await fireEvent.keyDown(document.body, { key: ' ' });
    await fireEvent.keyUp(document.body, { key: ' ' });
  }
  expect(onstop).not.toHaveBeenCalled();
  await fireEvent.keyDown(document.body, { key: ' ' });
  vi.advanceTimersByTime(HOLD_MS);
  expect(onstop).toHaveBeenCalledOnce();
});

test('Enter twice stops, Enter held does not', async () => {
  const { button } = show({ recording: true });
  // A browser makes a click of each Enter that is not prevented.
  const enter = async (repeat: boolean) => {
    if (await fireEvent.keyDown(button, { key: 'Enter', repeat })) await fireEvent.click(button, { detail: 0 });
  };
  await enter(false);
  await enter(true);
  expect(onstop).not.toHaveBeenCalled();
  await enter(false);
  expect(onstop).toHaveBeenCalledOnce();
});

test('while it waits nothing starts', async () => {
  const { button } = show({ waiting: 'Sending the rest' });
  await tap(button);
  await fireEvent.keyDown(document.body, { key: ' ' });
  expect(onstart).not.toHaveBeenCalled();
  expect(button.getAttribute('aria-disabled')).toBe('true');
});
