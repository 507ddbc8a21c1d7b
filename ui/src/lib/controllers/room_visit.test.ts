import { expect, test, vi } from 'vitest';

import { fakePlatform, problem, roomView, session, state } from '../testing/fakes';
import { chat, roomSession } from '../testing/watching';
import { RoomVisit, sessionsOfOthers } from './room_visit.svelte';

function visit() {
  const { platform } = fakePlatform();
  const announce = vi.fn<(text: string) => void>();
  return { platform, announce, visit: new RoomVisit(platform, announce) };
}

const said = (at: number, more = {}) => chat(at, { at_unix_ms: at, ...more });

test('what others say while nobody looks is unread until somebody does', async () => {
  const { visit: room, announce } = visit();
  room.take(roomView({ phase: { kind: 'connecting' } }));
  room.take(roomView({ chat: [said(1), said(2)] }));
  expect(room.unread).toBe(0);
  const own = said(3, { viewer: 'b'.repeat(32) });
  room.take(roomView({ chat: [said(1), said(2), own, said(4)] }));
  expect(room.unread).toBe(1);
  await room.open();
  expect(room.unread).toBe(0);
  room.take(roomView({ chat: [own, said(4), said(5, { text: 'Hello' })] }));
  expect(room.unread).toBe(0);
  expect(announce).toHaveBeenLastCalledWith('Ada: Hello');
  room.close();
  // A restart of the server numbers messages anew.
  room.take(roomView({ chat: [said(6, { number: 1 })] }));
  expect(room.unread).toBe(1);
  room.take(null);
  expect(room.unread).toBe(0);
});

test('what cannot be visited, and what cannot be said, is told', async () => {
  const { visit: room, platform } = visit();
  platform.openRoom.mockRejectedValueOnce(problem('no_server'));
  await room.open();
  expect(room.problem?.code).toBe('no_server');
  await room.open();
  expect(room.problem).toBeNull();
  expect(await room.say('Hello')).toBe(true);
  platform.say.mockRejectedValueOnce(problem('not_now'));
  expect(await room.say('Hello')).toBe(false);
});

test('the others are those that this device does not send', () => {
  const sessions = ['a', 'b', 'c'].map((id) => roomSession({ id }));
  const left = { room: 'studio', server: 's', started_unix_ms: 1, backlog_ms: 9, backlog_bytes: 8 };
  const told = state({ session: session({ id: 'a' }), unfinished: [{ ...left, id: 'c', phase: { kind: 'waiting' } }] });
  expect(sessionsOfOthers(roomView({ sessions }), told).map(({ id }) => id)).toEqual(['b']);
});
