import { beforeEach, expect, test, vi } from 'vitest';

import { Theme } from './theme.svelte';

let systemChanged: () => void;
const system = { matches: false, addEventListener: (_: string, listener: () => void) => (systemChanged = listener) };
let stored: Map<string, string>;
const store = { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, text: string) => void stored.set(key, text) };

beforeEach(() => {
  system.matches = false;
  stored = new Map();
  vi.stubGlobal('matchMedia', () => system);
});

test('without a choice it follows the system', () => {
  const root = document.createElement('html');
  new Theme(root, store);
  expect(root.dataset.theme).toBe('dark');
  system.matches = true;
  systemChanged();
  expect(root.dataset.theme).toBe('light');
});

test('a choice is kept and stands above the system', () => {
  const root = document.createElement('html');
  new Theme(root, store).choose('light');
  expect(root.dataset.theme).toBe('light');
  const again = new Theme(document.createElement('html'), store);
  expect(again.choice).toBe('light');
  again.choose('system');
  expect(new Theme(root, store).choice).toBe('system');
});

test('a forced theme is not kept', () => {
  const root = document.createElement('html');
  new Theme(root, store, 'light');
  expect(root.dataset.theme).toBe('light');
  expect(stored.size).toBe(0);
});
