import { expect, test } from 'vitest';

import { Screen } from './screen.svelte';

test('escape closes the details first, then the settings, then the room, and then nothing', () => {
  const screen = new Screen();
  screen.roomOpen = true;
  screen.openSettings('camera');
  screen.toggleDetails('video');
  expect(screen.escape()).toBe(true);
  expect([screen.details, screen.settingsOpen]).toEqual([null, true]);
  expect(screen.escape()).toBe(true);
  expect([screen.section, screen.settingsOpen, screen.roomOpen]).toEqual([null, false, true]);
  expect(screen.escape()).toBe(true);
  expect(screen.roomOpen).toBe(false);
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

test('the room makes place for the settings and comes back behind them', () => {
  const screen = new Screen();
  screen.toggleRoom();
  screen.openSettings();
  screen.toggleRoom();
  expect([screen.settingsOpen, screen.roomOpen]).toEqual([false, true]);
  screen.toggleRoom();
  expect(screen.roomOpen).toBe(false);
});
