import { expect, test, vi } from 'vitest';

import { reading, roomSession } from '../testing/watching';
import { Theatre } from './theatre.svelte';

const id = (number: number) => `01890a5d-ac96-7b7c-8f4e-${String(number).padStart(12, '0')}`;
const source = { transport: 'webrtc' as const, read: async () => reading(), close: () => {} };

function video(): HTMLVideoElement {
  const element = document.createElement('video');
  element.play = vi.fn(async () => {});
  return element;
}

test('each session has one player, for as long as it is there', () => {
  const theatre = new Theatre(() => () => source, true);
  theatre.follow([roomSession({ id: id(1) }), roomSession({ id: id(2) })]);
  const first = theatre.player(id(1));
  theatre.follow([roomSession({ id: id(1), status: 'interrupted' })]);
  expect(theatre.player(id(1))).toBe(first);
  theatre.follow([]);
  expect(theatre.player(id(1))).not.toBe(first);
});

test('sound is for all, also for those who come later, until each is muted', async () => {
  const theatre = new Theatre(() => () => source, true);
  theatre.follow([roomSession({ id: id(1) })]);
  theatre.player(id(1)).attach(video());
  theatre.setMuted(false);
  theatre.follow([roomSession({ id: id(1) }), roomSession({ id: id(2) })]);
  const later = video();
  theatre.player(id(2)).attach(later);
  expect([theatre.player(id(1)).muted, later.muted]).toEqual([false, false]);
  theatre.player(id(1)).setMuted(true);
  await theatre.tick();
  expect(theatre.muted).toBe(false);
  theatre.player(id(2)).setMuted(true);
  await theatre.tick();
  expect(theatre.muted).toBe(true);
});
