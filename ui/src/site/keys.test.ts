import { expect, test } from 'vitest';

import { keyAction } from './keys';

function press(key: string, target: EventTarget | null = document.body, more: { ctrlKey?: boolean } = {}) {
  return keyAction({ key, target, ctrlKey: false, altKey: false, metaKey: false, ...more });
}

test('keys do what players elsewhere do', () => {
  expect(['m', 'F', 'p', ' ', 'ArrowLeft', 'ArrowRight', 'x'].map((key) => press(key))).toEqual([
    'mute', 'fullscreen', 'picture-in-picture', 'pause', 'back', 'forward', null,
  ]);
});

test('who writes, presses a button or means the browser is left alone', () => {
  expect(press('m', document.createElement('input'))).toBeNull();
  expect(press(' ', document.createElement('button'))).toBeNull();
  expect(press('m', document.createElement('button'))).toBe('mute');
  expect(press('f', document.body, { ctrlKey: true })).toBeNull();
});
