import { expect, test } from 'vitest';

import { Screen } from './screen.svelte';

test('escape closes the details first, then the settings, and then nothing', () => {
  const screen = new Screen();
  screen.openSettings('camera');
  screen.toggleDetails('video');
  expect(screen.escape()).toBe(true);
  expect([screen.details, screen.settingsOpen]).toEqual([null, true]);
  expect(screen.escape()).toBe(true);
  expect([screen.section, screen.settingsOpen]).toEqual([null, false]);
  expect(screen.escape()).toBe(false);
});

test('a second tap on a line closes its details, another line shows its own', () => {
  const screen = new Screen();
  screen.toggleDetails('video');
  screen.toggleDetails('audio');
  expect(screen.details).toBe('audio');
  screen.toggleDetails('audio');
  expect(screen.details).toBeNull();
});
